"""The foreign keys between tables that a question mentions."""

from __future__ import annotations

import pytest

from spftsql_jax.examples.join_ways import links_between
from spftsql_jax.schema import Column, ForeignKey, Schema, Table


def table(name, **refers_to):
  columns = ("id", *refers_to)
  keys = tuple(ForeignKey((own,), other, ("id",)) for own, other in refers_to.items())
  return Table(
    name, tuple(Column(c, "INTEGER", "number") for c in columns), ("id",), foreign_keys=keys
  )


# band and genre are joined over band_genre; a match refers to two players; venue stands alone.
SCHEMA = Schema(
  "festival",
  "sqlite",
  (
    table("band"),
    table("band_genre", band_id="BAND", genre_id="genre"),
    table("genre"),
    table("match", winner="player", loser="player"),
    table("player", band_id="band"),
    table("venue"),
  ),
)


@pytest.mark.parametrize(
  ("tables", "links"),
  [
    ((), []),
    (("band",), []),
    (("band", "genre"), ["band_id", "genre_id"]),
    (("genre", "band", "genre"), ["band_id", "genre_id"]),
    (("player", "match"), ["winner", "loser"]),
    (("genre", "player"), ["band_id", "genre_id", "band_id"]),
    (("venue", "band"), []),
    (("band", "venue", "player"), ["band_id"]),
  ],
)
def test_links_are_those_between_and_on_the_shortest_way(tables, links):
  assert [key.columns[0] for _, key in links_between(SCHEMA, tables)] == links
