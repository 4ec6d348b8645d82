"""Generating and scoring answers over shared schema prefixes."""

from spftsql_jax.generation.engine import Generator
from spftsql_jax.generation.requests import Answer, Request, Statistics
from spftsql_jax.generation.sampling import Sampling

__all__ = ["Answer", "Generator", "Request", "Sampling", "Statistics"]
