"""Published splits by name: found in the layouts they come in, whole or refused."""

import dataclasses
import json
import shutil

import pytest
from shared_data import SPIDER, needs_spider

from spftsql_jax.examples.benchmark_splits import find_split, known_splits
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.pipeline.config import DataConfig, RunConfig
from spftsql_jax.pipeline.data import located, read_data

# What the papers and repositories say of their sizes.
PUBLISHED = {
  "spider:train": 7000,
  "spider:train_others": 1659,
  "spider:dev": 1034,
  "spider:test": 2147,
  "bird:train": 9428,
  "bird:dev": 1534,
  "spider-syn:train": 7000,
  "spider-syn:dev": 1034,
  "spider-realistic:dev": 508,
  "spider-dk:dev": 535,
}


def test_sizes_are_the_published_ones():
  assert {name: known["count"] for name, known in known_splits().items()} == PUBLISHED


@needs_spider
@pytest.mark.parametrize("split", ["train", "train_others", "dev"])
def test_spider_is_whole(split):
  found = find_split(f"spider:{split}", SPIDER)
  assert len(read_examples(found.examples)) == PUBLISHED[f"spider:{split}"]
  assert found.databases == (SPIDER / "database",)


def write(path, count, **fields):
  """A file of so many records in a benchmark's format."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps([{"db_id": f"d{i % 3}", **fields} for i in range(count)]))


FORMATS = {
  "bird:dev": (
    "dev_20240627/dev.json",
    {"question_id": None, "question": "how many?", "evidence": "", "SQL": "SELECT 1"},
    ["dev_20240627/dev_databases"],
  ),
  "spider-syn:dev": (
    "Spider-Syn/dev.json",
    {"SpiderQuestion": "the original", "SpiderSynQuestion": "how many?", "query": "SELECT 1"},
    ["spider/database"],
  ),
  "spider-realistic:dev": (
    "spider-realistic/spider-realistic.json",
    {"question": "how many?", "query": "SELECT 1", "query_toks": []},
    ["database"],
  ),
  "spider-dk:dev": (
    "Spider-DK/Spider-DK.json",
    {"question": "how many?", "query": "SELECT 1"},
    ["Spider-DK/database", "database"],
  ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_found_in_its_layout_with_its_databases(tmp_path, name):
  file, fields, folders = FORMATS[name]
  write(tmp_path / file, PUBLISHED[name], **fields)
  with pytest.raises(FileNotFoundError, match=f"no databases of {name}"):
    find_split(name, tmp_path)
  for folder in folders:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
  found = find_split(name, tmp_path)
  assert [str(path.relative_to(tmp_path)) for path in found.databases] == folders
  assert {e.question for e in read_examples(found.examples)} == {"how many?"}


def test_a_split_with_examples_missing_is_refused(tmp_path):
  write(tmp_path / "dev.json", 1000, question="how many?", query="SELECT 1")
  (tmp_path / "database").mkdir()
  with pytest.raises(ValueError, match="1,000 examples, but spider:dev was published with 1,034"):
    find_split("spider:dev", tmp_path)


def config_of(folder, **data):
  return RunConfig("x", str(folder), data=DataConfig(**data))


def test_a_run_names_splits_or_files(tmp_path):
  plain = config_of(tmp_path, seeds="a.json", test="C:/b.json")
  assert located(plain) is plain
  write(tmp_path / "spider/dev.json", 1034, question="how many?", query="SELECT 1")
  (tmp_path / "spider/database").mkdir()
  config = config_of(tmp_path, databases="", seeds="", test="spider:dev")
  found = located(config).data
  assert (found.test, found.databases, found.seeds) == ("spider/dev.json", "spider/database", "")
  own = dataclasses.replace(config, data=dataclasses.replace(config.data, databases="mine"))
  assert located(own).data.databases == "mine"


@pytest.mark.parametrize(
  ("test", "message"),
  [
    ("spider:devv", "no split 'spider:devv'; there are .*spider:dev.*--config.data.test"),
    ("bird:dev", "no bird:dev; looked for dev.json, .*--config.data.test"),
  ],
)
def test_a_split_that_is_not_there_is_named(tmp_path, test, message):
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    located(config_of(tmp_path, seeds="", test=test))


@needs_spider
def test_a_run_reads_spider_by_its_name(tmp_path):
  shutil.copy(SPIDER / "dev.json", tmp_path)
  (tmp_path / "database").symlink_to(SPIDER / "database")
  config = config_of(tmp_path, databases="", seeds="", test="spider:dev", test_limit=5)
  data = read_data(located(config))
  assert (len(data.test), len(data.held_out), len(data.seed_databases)) == (5, 1034, 5)
