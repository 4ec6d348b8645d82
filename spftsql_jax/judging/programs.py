"""Two statements that SQLite compiles to the same program give the same rows, in the same order:
one need not be run.

SQLite's EXPLAIN prints the byte code of a statement, a list of (operation, p1, p2, p3, p4, p5).
Table names, aliases and spelling are gone there; what is left of the order in FROM are the numbers
of the cursors, which are replaced by what they are opened on. See
https://www.sqlite.org/opcode.html for what the operands of each operation are.

Where the order of rows and columns does not count, one with its select list in the other's order is
as good.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from spftsql_jax.sql.select_lists import reordered_like

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  from spftsql_jax.databases.engines.sqlite import Connection

Instruction = tuple[str, object, object, object, object, object]

# Operations whose p1 is a cursor, and those of them whose p3 is another.
_ON_A_CURSOR_NAMES = """
  Close Column Count DeferredSeek Found IdxGE IdxGT IdxInsert IdxLE IdxLT IdxRowid IfNoHope
  IfNullRow Insert Last NewRowid Next NoConflict NotExists NotFound NullRow OpenAutoindex
  OpenEphemeral OpenPseudo OpenRead Prev ResetSorter Rewind RowData Rowid SeekGE SeekGT SeekHit
  SeekLE SeekLT SeekRowid Sequence SequenceTest Sort SorterCompare SorterData SorterInsert
  SorterNext SorterOpen SorterSort
"""
_ON_A_CURSOR = frozenset(_ON_A_CURSOR_NAMES.split())
_ON_TWO_CURSORS = frozenset({"DeferredSeek", "SorterData"})
# Operations on registers and addresses alone. What is in neither list is not understood.
_ON_NO_CURSOR_NAMES = """
  Add AddImm Affinity AggFinal AggStep AggValue And BeginSubrtn BitAnd BitOr Blob Cast CollSeq
  Compare Concat Copy DecrJumpZero Divide ElseEq EndCoroutine Eq Filter FilterAdd Function Ge
  Gosub Goto Gt Halt If IfNot IfNotZero IfPos Init InitCoroutine Int64 Integer IsNull IsTrue Jump
  Le Lt MakeRecord Move Multiply MustBeInt Ne Noop Not NotNull Null OffsetLimit Once Or
  Permutation PureFunc Real RealAffinity Remainder ResultRow Return SCopy SeekScan SoftNull String
  String8 Subtract Transaction Yield ZeroOrNull
"""
_ON_NO_CURSOR = frozenset(_ON_NO_CURSOR_NAMES.split())
# A program is printed with 16 digits a number and without its blobs: statements that differ there
# may print alike.
_NOT_PRINTED = re.compile(r"(?<!\w)(?:\d*\.\d+|\d+\.|\d+[eE]|\d{16,}|[xX]'[^']*')")


class Programs:
  """Tells whether two statements are the same program on all instances of a database.

  SQLite compiles a statement for a schema, so two statements that become the same byte code on one
  instance do so on every instance of that schema. Statistics (ANALYZE) would let it compile
  differently elsewhere: where there are any, or where schemas differ, nothing is said to agree.

  Args:
    instances: their number.
    connect: opens one; may raise DatabaseError.
  """

  def __init__(self, instances: int, connect: Callable[[int], Connection]):
    self._instances, self._connect = instances, connect
    self._one_schema: bool | None = None
    self._programs: dict[str, list[Instruction] | None] = {}

  def agree(self, one_sql: str, other_sql: str, timeout_s: float, any_order: bool = False) -> bool:
    """Whether both compile, and to the same program; `any_order`: or one that returns the same rows
    in another order of rows and columns.

    Raises DatabaseError where an instance cannot be opened.
    """
    if sorted(_NOT_PRINTED.findall(one_sql)) != sorted(_NOT_PRINTED.findall(other_sql)):
      return False
    if not self._compile_alike(one_sql, other_sql, timeout_s):
      reordered = reordered_like(other_sql, one_sql) if any_order else None
      if reordered is None or not self._compile_alike(one_sql, reordered, timeout_s):
        return False
    if self._one_schema is None:
      schema = self._connect(0).schema_text()
      self._one_schema = "sqlite_stat" not in schema and all(
        self._connect(instance).schema_text() == schema for instance in range(1, self._instances)
      )
    return self._one_schema

  def _compile_alike(self, one_sql: str, other_sql: str, timeout_s: float) -> bool:
    one, other = self._program(one_sql, timeout_s), self._program(other_sql, timeout_s)
    return one is not None and other is not None and same_program(one, other)

  def _program(self, sql: str, timeout_s: float) -> list[Instruction] | None:
    if sql not in self._programs:
      self._programs[sql] = self._connect(0).program(sql, timeout_s)
    return self._programs[sql]


def same_program(one: Sequence[Instruction], other: Sequence[Instruction]) -> bool:
  """Whether two programs are the same but for the numbers of the cursors on tables and indices."""
  if one == other:
    return True
  if len(one) != len(other) or any(a[0] != b[0] for a, b in zip(one, other, strict=True)):
    return False
  named = _name_cursors(one)
  return named is not None and named == _name_cursors(other)


def program_form(program: Sequence[Instruction]) -> list[Instruction]:
  """What programs that `same_program` takes for one have in common: the program with its cursors
  named, where they can be.
  """
  return _name_cursors(program) or list(program)


def _name_cursors(program: Sequence[Instruction]) -> list[Instruction] | None:
  """The program with what a cursor is opened on in place of its number.

  None where that does not name it (two cursors on one table) or where an operation is not
  understood.
  """
  names: dict[object, object] = {}
  for operation, p1, p2, p3, _, _ in program:
    if operation == "OpenRead":
      name = ("opened on", p2, p3)
      if name in names.values() or p1 in names:
        return None
      names[p1] = name
    elif operation not in _ON_A_CURSOR and operation not in _ON_NO_CURSOR:
      return None
  return [
    (
      operation,
      names.get(p1, p1) if operation in _ON_A_CURSOR else p1,
      p2,
      names.get(p3, p3) if operation in _ON_TWO_CURSORS else p3,
      p4,
      p5,
    )
    for operation, p1, p2, p3, p4, p5 in program
  ]
