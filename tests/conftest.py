"""Test programs are compiled often and run once: compile fast instead of running fast. Set before
JAX is imported.
"""

import os

import pytest

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"


@pytest.fixture(scope="module")
def server(request):
  """A PostgreSQL server whose database holds what the test module's SCHEMA creates."""
  import postgresql_server  # loads the driver, which few tests need

  with postgresql_server.running_server(request.module.SCHEMA) as running:
    yield running


@pytest.fixture(scope="module")
def executor(server):
  """One worker that keeps no results, for `server`."""
  from spftsql_jax.databases import Executor

  with Executor(workers=1, cache_mb=0) as pool:
    yield pool
