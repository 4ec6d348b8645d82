"""Data dictionaries: a CSV of table, column, description or name; BIRD's folder of CSV files."""

import pytest

from spftsql_jax.databases.data_dictionary import read_descriptions, read_names


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


def test_a_csv_names_tables_and_columns(tmp_path):
  path = tmp_path / "names.csv"
  path.write_text("table,column,name\nt_cust,,customer\nt_cust,nm,first name\nt_cust,x,\n")
  assert read_names(path) == (("t_cust", "", "customer"), ("t_cust", "nm", "first name"))


@pytest.mark.parametrize("name", ["who?", "{value}", "a; b", "one two three four five six s e"])
def test_what_cannot_stand_in_a_sentence_is_no_name(tmp_path, name):
  path = tmp_path / "names.csv"
  path.write_text(f"table,column,name\nshop,,shop\nshop,nm,{name}\n")
  with pytest.raises(ValueError, match="names.csv: shop.nm is called"):
    read_names(path)
