"""Test programs are compiled often and run once: compile fast instead of running fast, and the same
program once for all tests and the scripts that they start. Set before JAX is imported.
"""

import os
import shutil
import tempfile

import pytest

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

_CACHE = "JAX_COMPILATION_CACHE_DIR"
_ENTRIES = {
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
  "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
  # With a largest size entries are written under a lock: two workers may compile one program.
  "JAX_COMPILATION_CACHE_MAX_SIZE": str(8 << 30),
}


def pytest_configure(config):
  """Compiled programs are kept for this run of the tests; xdist's workers are given the folder."""
  if _CACHE not in os.environ:
    config.own_cache = os.environ[_CACHE] = tempfile.mkdtemp(prefix="compiled-")
    os.environ.update(_ENTRIES)


def pytest_unconfigure(config):
  if folder := getattr(config, "own_cache", ""):
    del os.environ[_CACHE]
    shutil.rmtree(folder, ignore_errors=True)


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
