"""The notebook runs top to bottom; its setting TINY makes that a minute."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).resolve().parents[1] / "experiments" / "colab" / "quickstart.ipynb"


def test_the_notebook_runs_top_to_bottom(tmp_path, monkeypatch):
  book = nbformat.read(NOTEBOOK, as_version=4)
  nbformat.validate(book)
  assert not any(cell.get("outputs") for cell in book.cells), "outputs are not kept"
  settings = book.cells[1].source
  for old, new in (("TINY = False", "TINY = True"), ('"runs/colab"', repr(str(tmp_path / "run")))):
    assert old in settings
    settings = settings.replace(old, new)
  book.cells[1].source = settings
  monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
  nbclient.NotebookClient(
    book, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
  ).execute()
  images = sum(
    "image/png" in output.get("data", {})
    for cell in book.cells
    for output in cell.get("outputs", ())
  )
  assert images == 4
  printed = "".join(
    output.get("text", "") for cell in book.cells for output in cell.get("outputs", ())
  )
  assert "SPFT-SQL, iteration" in printed and (tmp_path / "run" / "report.html").is_file()
