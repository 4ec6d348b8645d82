"""Question-SQL examples from a database alone, in the order in which a query is made:

templates     slots, notation, sql_style, dialects: a template's tree and text; compiling,
              value_specs: what filling needs of it; pool: ours; templates, rewriting,
              query_sources: those of given queries; query_log; balance: how often each comes
filling       supply, suitability: what the database has for a slot; table_choice, column_choice;
              joins, scope_joins; stored, witnesses, literals: values; rendering: the text;
              sampler: all of it
judging       rejections; check_plan, reductions: what is run; runner; filters: the verdict;
              repair; normal_form: when two queries are the same
many of them  options, synthesize, units, plan: waves of attempts; tasks, attempts,
              opened_database: what a worker does; workers, record; synthetic_example, result
"""
