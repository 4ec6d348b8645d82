"""SPFT-SQL (arXiv 2509.03937) in JAX: self-play fine-tuning of open language models for
text-to-SQL.
"""
