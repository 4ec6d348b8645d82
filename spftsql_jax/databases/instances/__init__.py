"""Neighbouring instances: the same schema with other rows, which tell near-miss queries apart.

`make` is the way in. Rows are drawn anew from the original's (`drawing`, `made_values`) while keys
stay valid (`instance_rows`). For known queries (`selections`, `literals`) rows are planted that
meet all conditions, and such that miss one (`planting`). `writing` writes the file.
"""
