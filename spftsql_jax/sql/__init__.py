"""SQL as text, with no database at hand.

`model_text` is the one reader of what models and people write: it takes a statement out of the text
around it (`embedded`, `prose`), tells where it begins and ends (`beginnings`, `lexemes`), and puts
it on one line (`one_line`). `statement_files` reads logs and lists of statements. `statements` says
what is no query, `identifiers` how a name is written, `select_lists` reorders a select list.
"""
