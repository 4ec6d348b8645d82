"""An extension of Sphinx. In a page

    ```{flags} ask
    ```

lists the flags of experiments/ask.py, each with its default and what it may be. So the pages of
commands cannot say other than the scripts.
"""

from __future__ import annotations

import re
from typing import Any

from command_flags import EXPERIMENTS, Flag, path_of, read_flags
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class FlagsDirective(SphinxDirective):
  """Lists the flags of a launch script, each with its default and what it may be."""

  required_arguments = 1

  def run(self) -> list[nodes.Node]:
    script = self.arguments[0]
    self.env.note_dependency(str(EXPERIMENTS / f"{path_of(script)}.py"))
    listed = nodes.definition_list(classes=["flags"])
    listed += [_item(flag) for flag in read_flags(script)]
    return [listed]


def _item(flag: Flag) -> nodes.definition_list_item:
  term = nodes.term("", "", nodes.literal("", flag.usage))
  # A default may be a path of the machine that builds the pages.
  default = flag.default.replace(f"{EXPERIMENTS.parent}/", "").replace("'None'", "")
  if default not in ("", "''"):
    term += [nodes.inline("", " default "), nodes.literal("", default.strip("'"))]
  said = nodes.paragraph("", "", *_with_flags(flag.help))
  if flag.allowed:
    said += nodes.inline("", f" ({flag.allowed})")
  return nodes.definition_list_item("", term, nodes.definition("", said))


def _with_flags(text: str) -> list[nodes.Node]:
  """A help text, the flags in it as code: in prose two hyphens would become a dash."""
  parts = re.split(r"(--\w+)", text)
  return [nodes.literal("", part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]


def setup(app: Sphinx) -> dict[str, Any]:
  """Registers the directive."""
  app.add_directive("flags", FlagsDirective)
  return {"parallel_read_safe": True, "version": "1"}
