"""Neighbouring instances: the same schema with other rows, which tell near-miss queries apart.

`make` is the way in. Rows are drawn anew from the original's (`drawing`, `made_values`) while keys
stay valid (`instance_rows`). For known queries (`selections`, `literals`) rows are planted that
meet all conditions, and such that miss one (`planting`).

Reading the original and writing instances is each engine's own (`interface`): `sqlite`; `duckdb`
and `postgresql`, which share `enforced`, `typed_cells`, and `keyed_sample` for what is too large to
be read. PostgreSQL's are databases of a `private_server`, declared anew (`declarations`), or DuckDB
files (`stand_in`).
"""
