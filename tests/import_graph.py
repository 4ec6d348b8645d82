"""What the modules of the package import of each other, read from their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
  """An import of one module of the package in another.

  Attributes:
    importer, imported: names of modules.
    line: of the statement in the importer's file.
  """

  importer: str
  imported: str
  line: int


def modules(package: Path) -> dict[str, Path]:
  """The files of a package by the names of their modules."""
  found = {}
  for path in sorted(package.rglob("*.py")):
    parts = path.relative_to(package.parent).with_suffix("").parts
    found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
  return found


def imports(files: Mapping[str, Path]) -> Iterator[Import]:
  """All imports among these modules, those inside functions and for type checking alone too.

  `from package import module` is an import of that module, not of the package's own file.
  """
  for importer, path in files.items():
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
      named = set(_names(node, importer, path))
      for module in sorted({n if n in files else n.rpartition(".")[0] for n in named}):
        if module in files and module != importer:
          yield Import(importer, module, node.lineno)


def _names(node: ast.AST, importer: str, path: Path) -> Iterator[str]:
  """What a statement imports: modules, or names in them."""
  if isinstance(node, ast.Import):
    for alias in node.names:
      yield alias.name
  elif isinstance(node, ast.ImportFrom):
    base = node.module or ""
    if node.level:
      up = node.level - (path.name == "__init__.py")
      above = importer.split(".")[: -up or None]
      base = ".".join([*above, base] if base else above)
    for alias in node.names:
      yield f"{base}.{alias.name}"


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
  """Sets of nodes that reach each other (strongly connected, of two or more), each sorted."""
  reached = {node: _reach(node, edges) for node in edges}
  found = {
    tuple(sorted({node} | {other for other in reached[node] if node in reached.get(other, ())}))
    for node in edges
    if node in reached[node]
  }
  return sorted(map(list, found))


def _reach(start: str, edges: Mapping[str, set[str]]) -> set[str]:
  """All nodes that a walk of at least one edge leads to."""
  seen: set[str] = set()
  todo = [start]
  while todo:
    for following in edges.get(todo.pop(), ()):
      if following not in seen:
        seen.add(following)
        todo.append(following)
  return seen
