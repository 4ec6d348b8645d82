"""Databases of many domains, made up to pretrain a small text-to-SQL model on.

Reading order: `domains` reads the files of `domains/` (what there is to tell of a subject),
`styles` says how a team writes names, `design` draws a schema from a domain in a style, `values`
fills cells, and `build` writes the database. Each number gives another schema, so none need be seen
twice.
"""
