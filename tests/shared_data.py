"""Benchmark data that lies outside the project; tests that need it skip, saying so, without it."""

import os
import pathlib

import pytest

SHARED = pathlib.Path(
  os.environ.get("SPFTSQL_SHARED_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared/data")
)
SPIDER = SHARED / "spider"

needs_spider = pytest.mark.skipif(not SPIDER.is_dir(), reason=f"no Spider at {SPIDER}")
needs_predictions = pytest.mark.skipif(
  not (SHARED / "predictions").is_dir(), reason=f"no recorded predictions at {SHARED}"
)
