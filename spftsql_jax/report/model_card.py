"""The model card of an exported model: the README.md beside its weights, as model hubs show it.

It is made from a run's `results.json`. What it shows of a database is names: no row, no value.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from spftsql_jax import amounts
from spftsql_jax.files import write_text
from spftsql_jax.report.render import TEMPLATES
from spftsql_jax.report.stage_names import model_name
from spftsql_jax.report.text import bounds, printable

Record = Mapping[str, Any]

CARD_FILE = "README.md"
# A model of a hub in its local cache.
_CACHED = re.compile(r"models--(?P<owner>[^/]+?)--(?P<name>[^/]+)")


@dataclasses.dataclass(frozen=True)
class CardModel:
  """What lies beside the card.

  Attributes:
    version: of the model base.
    parameters: of the model, an adapter's base counted.
    model_type: as config.json calls the architecture.
    dtype: of the weights.
    start: folder or name of the model that fine-tuning started from; "" for random weights.
    max_new_tokens: longest answer.
    adapter: whether it is an adapter alone, which needs its base.
    gguf: whether model.gguf lies there too.
  """

  version: str
  parameters: int
  model_type: str
  dtype: str
  start: str
  max_new_tokens: int
  adapter: bool = False
  gguf: bool = False

  @property
  def hub_name(self) -> str:
    """OWNER/NAME of the starting model on a hub; "" where the folder does not tell."""
    found = _CACHED.search(self.start)
    return f"{found['owner']}/{found['name']}" if found else ""

  @property
  def base_name(self) -> str:
    """What the starting model is called; never where it lies on somebody's machine."""
    return self.hub_name or Path(self.start).name


def write_model_card(folder: Path, results: Record, model: CardModel) -> None:
  """Writes the card into the model's folder."""
  write_text(folder / CARD_FILE, model_card(results, model))


def model_card(results: Record, model: CardModel) -> str:
  """The card as Markdown with the header that model hubs read.

  Args:
    results: what `results.json` holds; of a run that has not ended, what there is of it
      ("title", "lineage").
  """
  table = results.get("table") or ()
  rows = {row["version"]: row for row in table}
  first = table[0] if table and table[0]["version"] != model.version else None
  example = results.get("prompt_example")
  return (
    _environment()
    .get_template("model-card.md.jinja")
    .render(
      results=results,
      model=model,
      row=rows.get(model.version),
      first=first,
      is_best=results.get("best") == model.version,
      stages=_stages(results.get("lineage") or (), model.version),
      synthesized=_synthesized(results, model.version),
      masked=_masked(results),
      example=example,
    )
  )


def _stages(lineage: Sequence[Record], version: str) -> list[str]:
  """The stages that a version went through, in order."""
  of = {row["version"]: row for row in lineage}
  found: list[str] = []
  while (row := of.get(version)) is not None:
    if row["parent"] is not None:
      against = f" (against {of[row['opponent']]['version']})" if row["opponent"] in of else ""
      found.append(model_name(row["stage"], row["round"]) + against)
    version = row["parent"]
  return found[::-1]


def _synthesized(results: Record, version: str) -> list[tuple[int, int]]:
  """(round, accepted examples) of the rounds that a version has seen."""
  of = {row["version"]: row for row in results.get("lineage") or ()}
  seen = set()
  at: str | None = version
  while at is not None and (row := of.get(at)) is not None:
    if row["stage"] == "vbi_ft":
      seen.add(row["round"])
    at = row["parent"]
  rounds = results.get("synthesis") or ()
  return [(each["round"], each["accepted"]) for each in rounds if each["round"] in seen]


def _masked(results: Record) -> int:
  """How many columns were masked."""
  view = results.get("config", {}).get("data", {}).get("view", {})
  return len(view.get("masked", ()))


@functools.cache
def _environment() -> jinja2.Environment:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=False,  # Markdown; what others wrote stands as code or as a Python literal.
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  environment.filters |= {
    "percent": amounts.percent,
    "count": amounts.count,
    "duration": amounts.duration,
    "code": _code,
    "literal": repr,
    "comment": lambda text: " ".join(printable(text).split()),
    "text_literal": _text_literal,
    "yaml": functools.partial(json.dumps, ensure_ascii=False),
  }
  environment.globals["bounds"] = bounds
  return environment


def _code(value: object) -> str:
  """A name within a line, as code: nothing in it is Markdown."""
  text = " ".join(printable(value).split())
  ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
  room = " " if text.startswith("`") or text.endswith("`") else ""
  return f"{ticks}{room}{text}{room}{ticks}"


def _text_literal(text: str) -> str:
  """A text of several lines as a Python expression, a line a line."""
  lines = [repr(line) for line in text.splitlines(keepends=True)]
  return "(\n" + "".join(f"    {line}\n" for line in lines or ["''"]) + ")"
