"""Data dictionaries: a CSV of table, column, description; BIRD's folder of a CSV for each table."""

import pytest

from spftsql_jax.pipeline.specialize.descriptions import read_descriptions


def test_a_csv_describes_tables_and_columns(tmp_path):
  path = tmp_path / "words.csv"
  path.write_text('Table,Column,Description\nshop,,"where, they buy"\nshop,id,\nshop,nm,its name\n')
  assert read_descriptions(path) == (("shop", "", "where, they buy"), ("shop", "nm", "its name"))


def test_a_folder_of_bird_describes_columns_and_their_values(tmp_path):
  text = (
    "original_column_name,column_name,column_description,data_format,value_description\n"
    "cds,,school\x92s code,text,\nkind,,kind,integer,1: public\n"
  )
  (tmp_path / "schools.csv").write_bytes(text.encode("latin-1"))
  assert read_descriptions(tmp_path) == (
    ("schools", "cds", "school\x92s code"),
    ("schools", "kind", "kind; 1: public"),
  )


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n"])
def test_another_file_is_told(tmp_path, text):
  path = tmp_path / "words.csv"
  path.write_text(text)
  with pytest.raises(ValueError, match="words.csv: no column table"):
    read_descriptions(path)
