"""What questions say of tables that tie others, of keys side by side, and of counts and units."""

from __future__ import annotations

import random
import re

import pytest
from small_schemas import foreign_key, questions, table

from spftsql_jax.questions.sentences import UnsupportedQuery, write_question
from spftsql_jax.schema import Column, ForeignKey, Schema, Table


def _table(text: str, key: int, *referred: str, samples: dict[str, tuple] | None = None) -> Table:
  """A table with that many columns as its key, and "drug_id drug" for each that refers to one."""
  keys = [foreign_key(*each.split()) for each in referred]
  return table(text, *keys, samples=samples, own_key=key)


def _said(sql: str, *tables: Table) -> set[str]:
  return questions(sql, Schema("some", "sqlite", tables))


_ENZYME, _DRUG = _table("enzyme: id number, name text", 1), _table("drug: id number, name text", 1)
_BINDS = _table("binding: drug_id number, enzyme_id number", 2, "drug_id drug", "enzyme_id enzyme")
_LINKED = (
  "SELECT T1.name FROM {0} AS T1 JOIN {1} AS T2 ON T1.id = T2.{0}_id "
  "JOIN {2} AS T3 ON T2.{2}_id = T3.id WHERE T3.name = 'Ceruloplasmin'"
)


def test_of_two_things_that_a_link_ties_neither_has_the_other() -> None:
  asked = _said(_LINKED.format("drug", "binding", "enzyme"), _ENZYME, _DRUG, _BINDS)
  assert all(re.search("(associated with|linked to) the enzyme", question) for question in asked)


def test_what_things_have_they_have() -> None:
  amenity, dorm = (
    _table("amenity: id number, name text", 1),
    _table("dorm: id number, name text", 1),
  )
  link = _table("offer: dorm_id number, amenity_id number", 2, "dorm_id dorm", "amenity_id amenity")
  asked = _said(_LINKED.format("dorm", "offer", "amenity"), amenity, dorm, link)
  assert all(re.search("(have|has|with) ", q) and "associated" not in q for q in asked)


def test_a_link_that_is_not_the_only_one_of_its_ends_is_said() -> None:
  """Who is registered at one branch and buys at another has no branch of hers."""
  member = _table("member: id number, name text", 1)
  branch = _table("branch: id number, name text", 1)
  ends = ("member_id member", "branch_id branch")
  purchase = _table("purchase: member_id number, branch_id number", 2, *ends)
  registered = _table("registration: member_id number, branch_id number", 2, *ends)
  query = _LINKED.format("member", "purchase", "branch")
  asked = _said(query, member, branch, purchase, registered)
  assert all(re.search("purchase|bought|buy", question) for question in asked)
  assert any(not re.search("purchase|bought", q) for q in _said(query, member, branch, purchase))


def test_a_branch_where_things_are_bought_is_not_bought() -> None:
  member = _table("member: id number, name text", 1)
  branch = _table("branch: id number, name text", 1)
  total = _table("purchase: id number, member_id number, branch_id number, total number", 1,
                 "member_id member", "branch_id branch")  # fmt: skip
  asked = _said(_LINKED.format("branch", "purchase", "member"), member, branch, total)
  assert not [question for question in asked if re.search("bought", question)]


def test_a_condition_of_a_link_s_own_names_its_rows() -> None:
  """No "scientists who have a project with the project AeH3"."""
  scientist = _table("scientist: id number, name text", 1)
  project = _table("project: id text, name text", 1)
  work = _table("assignment: scientist_id number, project_id text", 2,
                "scientist_id scientist", "project_id project")  # fmt: skip
  asked = _said(
    "SELECT T1.name FROM scientist AS T1 WHERE EXISTS (SELECT 1 FROM assignment AS T2 "
    "WHERE T2.scientist_id = T1.id AND T2.project_id = 'AeH3')",
    scientist, project, work,
  )  # fmt: skip
  assert all("assignment" in question for question in asked)


_CLUB = _table("club: id number, name text", 1)


@pytest.mark.parametrize("first, second", [("club_id_1", "club_id_2"), ("club1", "club2")])
@pytest.mark.parametrize(
  "query",
  [
    "SELECT T1.name FROM club AS T1 JOIN result AS T2 ON T1.id = T2.{0} GROUP BY T1.id "
    "HAVING COUNT(*) > 2",
    "SELECT name FROM club WHERE id NOT IN (SELECT {0} FROM result)",
  ],
)
def test_keys_that_digits_alone_tell_apart_are_not_asked_about_one_by_one(
  first: str, second: str, query: str
) -> None:
  result = _table(f"result: id number, {first} number, {second} number", 1,
                  f"{first} club", f"{second} club")  # fmt: skip
  schema = Schema("cup", "sqlite", (_CLUB, result))
  with pytest.raises(UnsupportedQuery, match="several keys"):
    write_question(query.format(first), schema, random.Random(0))


_BRIDGE = _table(
  "bridge: id number, name text, length_feet number, length_meters number, height_feet number", 1
)


def test_a_length_in_one_of_two_units_says_which() -> None:
  asked = _said("SELECT AVG(length_feet) FROM bridge", _BRIDGE)
  assert all("feet" in question for question in asked)
  assert not all("feet" in q for q in _said("SELECT AVG(height_feet) FROM bridge", _BRIDGE))


def test_a_memory_of_g_is_no_weight() -> None:
  phone = _table("phone: id number, name text, memory_in_g number, weight_g number", 1)
  asked = _said("SELECT name FROM phone WHERE memory_in_g > 16", phone)
  assert not [question for question in asked if "gram" in question]
  assert any("GB" in question for question in asked)
  assert any("gram" in q for q in _said("SELECT name FROM phone WHERE weight_g > 16", phone))


_PROJECT = _table("project: id number, name text, hours number, goals text", 1,
                  samples={"goals": ("0", "0/1", "90/106")})  # fmt: skip


@pytest.mark.parametrize(
  "query, said, unsaid",
  [
    ("SELECT name FROM project WHERE hours = 156", "156 hours", "hours (of|equal)"),
    ("SELECT name FROM project ORDER BY hours DESC LIMIT 1", "", "(largest|highest) hours"),
    ("SELECT name FROM project WHERE hours > (SELECT AVG(hours) FROM project)", "", "the hours"),
    (
      "SELECT name FROM project WHERE hours > (SELECT hours FROM project WHERE name = 'Ida')",
      "more hours than|number of hours",
      "higher hours",
    ),
    ("SELECT name FROM project WHERE goals = '0/1'", "goals", r"\bgoal\b"),
  ],
)
def test_what_is_counted_is_more_or_fewer(query: str, said: str, unsaid: str) -> None:
  asked = _said(query, _PROJECT)
  assert not [question for question in asked if re.search(unsaid, question)]
  assert any(re.search(said, question) for question in asked)


def test_one_thing_is_not_listed_nor_is_a_question_thanked_for() -> None:
  asked = {q for seed in range(8) for q in _said("SELECT MAX(hours) FROM project", _PROJECT)}
  for seed in range(400):
    schema = Schema("some", "sqlite", (_PROJECT,))
    asked.add(write_question("SELECT MAX(hours) FROM project", schema, random.Random(seed)))
  assert not [question for question in asked if re.match("(please )?list ", question.lower())]
  polite = [q for q in asked if q.endswith(("thanks", "please", "pls"))]
  assert not [q for q in polite if re.match("(what|how|which|who) ", q.lower())]


def test_more_than_one_is_not_over_one() -> None:
  query = (
    "SELECT T1.name FROM club AS T1 JOIN player AS T2 ON T1.id = T2.club_id GROUP BY T1.id "
    "HAVING COUNT(*) > {0}"
  )
  player = _table("player: id number, name text, club_id number", 1, "club_id club")
  assert not [q for q in _said(query.format(1), _CLUB, player) if "over" in q]
  assert any("over" in q for q in _said(query.format(7), _CLUB, player))


def test_a_label_by_a_condition_says_its_values_in_brackets() -> None:
  query = "SELECT name, CASE WHEN hours > 5 THEN 'long' ELSE 'short' END FROM project"
  assert all(
    re.search(r"\('long' .* 'short' .*\)", question) for question in _said(query, _PROJECT)
  )


def test_the_first_letter_of_a_table_in_a_column_s_name_is_no_word() -> None:
  college = _table("college: cName text, state text", 1)
  player = _table("player: pID number, pName text, hours number", 1)
  tryout = Table(
    "tryout",
    tuple(Column(c, "TEXT", "text") for c in ("pID", "cName", "pPos")),
    ("pID",),
    (ForeignKey(("pID",), "player", ("pID",)), ForeignKey(("cName",), "college", ("cName",))),
    row_count=100,
  )
  positions = _said("SELECT DISTINCT pPos FROM tryout", college, player, tryout)
  assert all("positions" in q and " p " not in q for q in positions)
  colleges = _said("SELECT cName, COUNT(*) FROM tryout GROUP BY cName", college, player, tryout)
  assert all("college" in q and " c " not in q for q in colleges)


def test_figures_of_a_row_are_not_the_row() -> None:
  """A city's temperatures are not called as the city is."""
  city = _table("city: id number, name text", 1)
  temperature = _table("temperature: id number, january number, july number", 1, "id city")
  asked = _said(
    "SELECT T1.name FROM city AS T1 JOIN temperature AS T2 ON T1.id = T2.id "
    "ORDER BY T2.july DESC LIMIT 1",
    city, temperature,
  )  # fmt: skip
  assert all(re.search(r"\b(city|cities)\b", question.lower()) for question in asked)


def test_all_are_not_asked_for_where_a_join_leaves_out_some() -> None:
  player = _table("player: id number, name text, town text, club_id number", 1, "club_id club")
  query = "SELECT T1.name, T2.town FROM club AS T1 JOIN player AS T2 ON T1.id = T2.club_id"
  assert not [q for q in _said(query, _CLUB, player) if re.search(r"\ball\b", q.lower())]
  assert any("all" in q for q in _said("SELECT name, id FROM club", _CLUB, player))


@pytest.mark.parametrize("operator", [">", ">=", "<", "<=", "="])
def test_things_are_of_a_year_and_do_not_have_it(operator: str) -> None:
  movie = _table("movie: id number, title text, year number", 1, samples={"year": (1975, 1996)})
  asked = _said(f"SELECT title FROM movie WHERE year {operator} 1980", movie)
  assert not [q for q in asked if re.search("a year|(earlier|later) than", q)]
  assert any(re.search("(in|from|after|before|since|until|by) ", question) for question in asked)
