"""How the pages are built (`make docs`): Sphinx, Markdown read by MyST, the theme Furo."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

_DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(_DOCS.parent), str(_DOCS)]

project = "spftsql_jax"
author = "The spftsql_jax authors"
copyright = "The spftsql_jax authors, Apache-2.0"

extensions = [
  "flags_directive",
  "myst_parser",
  "sphinx.ext.autodoc",
  "sphinx.ext.napoleon",
]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
napoleon_use_ivar = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# Docstrings put code in single backticks, as Markdown does.
default_role = "code"

# What stands in a block without a language is a command or its output.
highlight_language = "none"

html_theme = "furo"
html_title = "spftsql_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}

# Documents that stay where they are, at the top, and the pages that show them.
_PAGES = {
  name: f"project/{name.removesuffix('.md').lower()}.md"
  for name in ("BUILD_NOTES.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
} | {"README.md": "index.md"}
_LINK = re.compile(r"\[([^][]+)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def links_to_pages(text: str, folder: str, page_folder: str) -> str:
  """A document with its links as they must be on its page.

  A link to a document at the top leads to the page that shows it. A link to a file that is on no
  page becomes the file's name: the pages have no place where the code can be read.

  Args:
    text: the document.
    folder: where it lies, from the top, and where its links start.
    page_folder: where the page lies that shows it.
  """

  def written(match: re.Match[str]) -> str:
    told, target, part = match[1], match[2], match[3] or ""
    path = posixpath.normpath(posixpath.join(folder, target))
    if path in _PAGES:
      path = f"docs/{_PAGES[path]}"
    elif not path.startswith("docs/"):
      return f"{told} (`{path}`)" if path != told else f"`{path}`"
    return f"[{told}]({posixpath.relpath(path, page_folder)}{part})"

  return _LINK.sub(written, text)


def _on_source(app: Sphinx, page: str, text: list[str]) -> None:
  folder = posixpath.dirname(f"docs/{page}")
  text[0] = links_to_pages(text[0], folder, folder)


def _on_include(app: Sphinx, path: Path, page: str, text: list[str]) -> None:
  name = posixpath.normpath(posixpath.join("docs", path.as_posix()))
  text[0] = links_to_pages(text[0], posixpath.dirname(name), "docs/project")


def code_in_docstrings(lines: list[str]) -> list[str]:
  """A docstring whose indented blocks, behind a blank line, are code: as in Markdown, which is how
  they are meant. What is indented under "Args:" and the like follows without a blank line.
  """
  marked: list[str] = []
  depth = 0
  for line in lines:
    indent = len(line) - len(line.lstrip())
    if line.strip() and marked and not marked[-1].strip() and indent >= depth + 4:
      marked += [" " * depth + "::", ""]
    marked.append(line)
    depth = indent if line.strip() else depth
  return marked


def _on_docstring(app: Sphinx, kind: str, name: str, it: object, o: object, lines: list) -> None:
  lines[:] = code_in_docstrings(lines)


def setup(app: Sphinx) -> None:
  """Has links and code mended where documents and docstrings are read."""
  app.connect("source-read", _on_source)
  app.connect("include-read", _on_include)
  # Before Napoleon, which turns sections into markup.
  app.connect("autodoc-process-docstring", _on_docstring, priority=100)
