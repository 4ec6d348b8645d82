"""Files are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from spftsql_jax import files


def names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_text_is_written_as_it_is(tmp_path):
  files.write_text(tmp_path / "a.txt", "caf\u00e9\r\n\n")
  assert (tmp_path / "a.txt").read_bytes() == b"caf\xc3\xa9\r\n\n"
  assert names(tmp_path) == ["a.txt"]


def test_json_ends_as_asked(tmp_path):
  files.write_json(tmp_path / "a.json", {"b": [1]}, indent=2, end="\n")
  assert (tmp_path / "a.json").read_text() == '{\n  "b": [\n    1\n  ]\n}\n'
  files.write_json(str(tmp_path / "a.json"), {"b": [1]})
  assert (tmp_path / "a.json").read_text() == '{\n "b": [\n  1\n ]\n}'


def test_json_lines_keep_letters():
  text = files.json_lines([{"a": "\u00e9"}, [1, None]])
  assert text == '{"a": "\u00e9"}\n[1, null]\n'
  assert [json.loads(line) for line in text.splitlines()] == [{"a": "\u00e9"}, [1, None]]


@pytest.mark.parametrize("fails_at", ["writing", "renaming"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, fails_at):
  path = tmp_path / "a.json"
  files.write_json(path, 1)

  def refuse(*_):
    raise OSError("the disk is full")

  with monkeypatch.context() as patch:
    if fails_at == "renaming":
      patch.setattr(os, "replace", refuse)
    else:
      patch.setattr(files.Path, "write_bytes", refuse)
    with pytest.raises(OSError, match="full"):
      files.write_json(path, 2)
  assert path.read_text() == "1"
  assert names(tmp_path) == ["a.json"]


def test_a_value_that_is_no_json_leaves_what_was_there(tmp_path):
  files.write_json(tmp_path / "a.json", 1)
  with pytest.raises(TypeError):
    files.write_json(tmp_path / "a.json", object())
  assert (tmp_path / "a.json").read_text() == "1"
  assert names(tmp_path) == ["a.json"]


def test_a_large_file_gets_its_name_when_it_is_complete(tmp_path):
  path = tmp_path / "model.gguf"
  path.write_text("old")
  with files.replacing(path) as unfinished:
    unfinished.write_text("new")
    assert path.read_text() == "old"
  assert path.read_text() == "new"
  assert names(tmp_path) == ["model.gguf"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
  path = tmp_path / "model.gguf"
  path.write_text("old")
  with pytest.raises(RuntimeError), files.replacing(path) as unfinished:
    unfinished.write_text("half")
    raise RuntimeError
  assert path.read_text() == "old"
  assert names(tmp_path) == ["model.gguf"]


def test_what_a_killed_process_left_is_overwritten(tmp_path):
  left = tmp_path / ".shop.sqlite.unfinished"
  left.write_text("half")
  with files.replacing(tmp_path / "shop.sqlite") as unfinished:
    assert unfinished == left and not unfinished.exists()
    unfinished.write_text("whole")
  left.write_text("half")
  files.write_text(tmp_path / "shop.sqlite", "whole")
  assert (tmp_path / "shop.sqlite").read_text() == "whole"
  assert names(tmp_path) == ["shop.sqlite"]


def test_the_hash_is_that_of_the_bytes(tmp_path):
  data = os.urandom(1_000_003)
  files.write_whole(tmp_path / "a", data)
  assert files.sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
