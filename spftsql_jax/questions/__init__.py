"""English for queries: the question that a SQL query answers, by rule and in many ways.

The English of names is the room `columns`. In reading order:

    sentences         `write_question`: a query in, a sentence out; the forms in which people ask
    query_meaning     what a query says, read from its syntax tree
    syntax            what kind of expression a tree is
    naming            what tables and columns of a schema are called
    parts             the pieces of which sentences are made: clauses, messages, articles
    agreement         verbs in the number of their subject: each phrase is written once
    wordings          the phrases of `lists/` under their names

`QuestionWriter` (writer) is a tower of classes. Each words a larger part of a query with the one
below it:

    phrases           nouns, values, comparisons: a thing is called the same throughout a question
    column_conditions one column and values: equality, ranges, LIKE, NULL, lists
    expressions       what is computed: aggregates, arithmetic, parts of dates
    links, events     ways through tables that connect others; events with a verb of their own
    relations         foreign keys: "visits of patients from Boston"
    entities          rows with all that is said of them
    nested            conditions that hold a query: slots and features of a plan
    conditions        conditions of any form
    superlatives      ORDER BY: "the three oldest doctors": slots and features of a plan
    counts            "How many doctors are there?": slots and features of a plan
    aggregates        "How many ...?", "the average price of ..."
    listings          "the names and ages of ...": slots and features of a plan
    groups            what groups are called, measured, had and sorted by: slots and features
    group_questions   "the number of doctors in each city": slots and features of a plan
    sets, pairs       set operations: "who have X but not Y": what two halves share is said once
    writer            picks the layout that a query needs

The lists are text files, an entry a line, and say what each is for: `phrases.txt` (how each
construct is worded, and how often) and `nouns.txt` (verbs and prepositions that go with a noun).
Questions are drawn from them by a seeded generator, so an entry added, moved or taken out changes
the questions of a seed.
"""
