"""Asks a database a question: prints the model's SQL and its result.

python experiments/ask.py --model=DIR --database=PATH|URL "How many students are signed up?"
"""

from __future__ import annotations

import sys

import database_access
from launch import InputError, launch

from absl import flags  # isort: skip

from spftsql_jax.databases import open_database
from spftsql_jax.evaluation.exported import load_exported
from spftsql_jax.evaluation.predict import PromptDatabase, predict
from spftsql_jax.examples.example import Example

flags.adopt_module_key_flags(database_access)
_MODEL = flags.DEFINE_string("model", None, "Model folder.", required=True)
_DATABASE = flags.DEFINE_string("database", None, "SQLite or DuckDB file, or URL of a database.", required=True)
_SCHEMAS = flags.DEFINE_list("schemas", [], "Schemas whose tables are taken; by default those on the search path.")
_MAX_ROWS = flags.DEFINE_integer("max_rows", 20, "Rows to print.", lower_bound=1)
_TIMEOUT_S = flags.DEFINE_float("timeout_s", 30.0, "Time limit of the query in seconds.", lower_bound=0.01)


def main() -> None:
  question = " ".join(flags.FLAGS(sys.argv)[1:]).strip()
  if not question:
    raise InputError('no question; give it behind the flags: ask.py --model=DIR --database=PATH "How many ...?"')
  with open_database(_DATABASE.value, schemas=_SCHEMAS.value) as database:
    exported = load_exported(_MODEL.value, lanes=1)
    [sql] = predict(
      exported.generator,
      exported.params,
      exported.tokenizer,
      {"": PromptDatabase.read(database.location)},
      [Example("", question, "")],
      max_new_tokens=exported.max_new_tokens,
    )
    print(sql)
    result = database.execute(sql, timeout_s=_TIMEOUT_S.value, max_rows=100_000)
  if not result.ok:
    raise RuntimeError(f"the query did not run ({result.status}): {result.message}")
  print("\t".join(result.columns))
  for row in result.rows[: _MAX_ROWS.value]:
    print("\t".join("NULL" if cell is None else str(cell) for cell in row))
  if len(result.rows) > _MAX_ROWS.value:
    print(f"... {len(result.rows) - _MAX_ROWS.value:,} more rows (--max_rows)")


if __name__ == "__main__":
  launch(main)
