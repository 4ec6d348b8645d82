"""Test programs are compiled often and run once: compile fast instead of running fast, and the same
program once for all tests of a worker and the scripts that they start. Set before JAX is imported.
"""

import os
import shutil
import sys
import tempfile

import pytest

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

_CACHE = "JAX_COMPILATION_CACHE_DIR"
# The folder that this run of the tests made, for its workers to know.
_OWN_CACHE = "SPFTSQL_TESTS_CACHE"
_ENTRIES = {
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
  "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
}


def pytest_configure(config):
  """Compiled programs are kept for this run of the tests.

  Each of xdist's workers has a folder of its own: a folder that workers share has to be locked, and
  with the lock JAX looks through all of it for each program that comes in.
  """
  if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    if _OWN_CACHE in os.environ:
      os.environ[_CACHE] = os.path.join(os.environ[_OWN_CACHE], worker)
  elif _CACHE not in os.environ:
    config.own_cache = tempfile.mkdtemp(prefix="compiled-")
    os.environ[_CACHE] = os.environ[_OWN_CACHE] = config.own_cache
    os.environ.update(_ENTRIES)


def pytest_unconfigure(config):
  if folder := getattr(config, "own_cache", ""):
    del os.environ[_CACHE], os.environ[_OWN_CACHE]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
  """Lets go of a module's compiled programs: a process may have 65,530 mappings on Linux, and each
  program takes some.
  """
  yield
  if "jax" in sys.modules:
    sys.modules["jax"].clear_caches()


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
