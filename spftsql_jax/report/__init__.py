"""What a run found, for people. In reading order:

`page` the page's parts in the order of the method, from `results.json` and the metric lines;
`models`, `lineage`, `stages`, `training`, `examples` what stands in each part, as frozen records;
`sql_differences` two queries beside each other; `charts` and `version_graph` numbers to shapes,
`drawing` what a shape is; `templates/` how it all looks (HTML, CSS and the page's script);
`render` records and templates to one HTML file; `terminal` the table a run prints.

Words for stages and for the reasons of rejected queries are data: `stage_names.toml`,
`rejection_words.toml`. Nothing but `templates/` holds markup, and every text is escaped there.
"""
