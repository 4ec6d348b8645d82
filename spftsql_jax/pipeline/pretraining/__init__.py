"""Pretraining a small text-to-SQL model on made-up databases, from random weights.

Reading order: `config` (what determines a base), `corpus` (databases and examples, by shards),
`tokens` (examples as units to train on), `run` (all of it, resumable).
"""
