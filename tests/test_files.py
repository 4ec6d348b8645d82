"""A file is there whole, as it was or as it is to be."""

import json

import pytest

from spftsql_jax import files


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
  path = tmp_path / "a.json"
  files.write_json(path, {"a": [1]})

  def full(*_):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(files.os, "replace", full)
  with pytest.raises(OSError, match="No space left"):
    files.write_json(path, {"a": [2]})
  assert json.loads(path.read_text()) == {"a": [1]} and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
  path = tmp_path / "a.bin"
  (tmp_path / ".a.bin").write_bytes(b"half a f")
  files.write_whole(path, b"a file")
  assert path.read_bytes() == b"a file" and list(tmp_path.iterdir()) == [path]
