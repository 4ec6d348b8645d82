"""Records and templates to one HTML file that needs nothing else.

Every value is escaped where it is written (jinja2's autoescape), and characters that HTML does not
allow are shown as U+FFFD. Nothing is loaded from anywhere, and no script runs but the page's own:
a second wall behind the escaping.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
import markupsafe

from spftsql_jax import amounts
from spftsql_jax.report.text import printable

TEMPLATES = Path(__file__).parent / "templates"


def render(page: object) -> str:
  """The HTML of a page's records."""
  script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  return (
    _environment()
    .get_template("page.html")
    .render(
      page=page,
      policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
      style=markupsafe.Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
      script=markupsafe.Markup(script),
    )
  )


@functools.cache
def _environment() -> jinja2.Environment:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_finalize,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  environment.filters["percent"] = amounts.percent
  environment.filters["count"] = amounts.count
  return environment


def _finalize(value: Any) -> Any:
  """What is written for a value: markup that a template made as it is, text without controls."""
  if isinstance(value, markupsafe.Markup):
    return value
  return printable(value) if isinstance(value, str) else value
