"""What questions call tables, columns and the rows that keys refer to, on small schemas."""

from __future__ import annotations

import dataclasses
import random
import re

import pytest
from small_schemas import foreign_key as _key
from small_schemas import questions as _said
from small_schemas import table as _table

from spftsql_jax.questions.naming import names_of, role_of
from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Column, Schema, Table

COMPANY = Schema(
  "company",
  "sqlite",
  (
    _table("employee: Ssn number, Minit text, Bdate date, Super_ssn number, Dno number"),
    _table("department: Dnumber number, Dname text, Mgr_ssn number"),
    _table("dependent: Dependent_name text, Essn number"),
    _table("dept_locations: Dlocation text, Dnumber number"),
  ),
)


@pytest.mark.parametrize(
  "table, column, said",
  [
    ("employee", "Dno", "department number"),
    ("employee", "Minit", "middle initial"),
    ("dependent", "Essn", "employee SSN"),
    ("dept_locations", "Dlocation", "location"),
  ],
)
def test_a_column_that_shortens_another_table_s_key_is_called_by_it(
  table: str, column: str, said: str
) -> None:
  of = COMPANY.table(table)
  assert names_of(COMPANY).column(of, of.column(column)).nouns[0].singular == said


@pytest.mark.parametrize(
  "column, referred, role",
  [
    ("Mgr_ssn", "employee", "manager"),
    ("Super_ssn", "employee", "supervisor"),
    ("Essn", "employee", None),
    ("Dno", "department", None),
    ("Dnumber", "department", None),
  ],
)
def test_a_key_is_called_by_what_it_refers_to(column: str, referred: str, role: str | None) -> None:
  found = role_of((column,), COMPANY.table(referred), names_of(COMPANY))
  assert (found and found.singular) == role


def test_rows_have_those_that_play_a_role_for_them() -> None:
  said = _said(
    "SELECT a.Dname FROM department AS a JOIN employee AS b ON a.Mgr_ssn = b.Ssn "
    "WHERE b.Bdate > '1937-05-01'",
    COMPANY,
  )
  assert all("manager" in question and "SSN" not in question for question in said)
  assert not any(re.search("belong|are with|of a? ?managers?", question) for question in said), said


STAGE = Schema(
  "stage",
  "sqlite",
  (
    _table("member: id number, name text"),
    _table("performance: id number, host text, held date"),
    _table(
      "member_attendance: id number, member_id number, performance_id number, num_of_pieces number",
      _key("member_id", "member"),
      _key("performance_id", "performance"),
    ),
    _table("service: id number, type_code text"),
    _table(
      "members_services: id number, member_id number, service_id number, asked date, total number",
      _key("member_id", "member"),
      _key("service_id", "service"),
    ),
    _table("buyer: id number, name text"),
    _table("buyer_policies: id number, buyer_id number, type text", _key("buyer_id", "buyer")),
    _table("policy_notes: id number, policy_id number", _key("policy_id", "buyer_policies")),
  ),
)
_POLICIES = "FROM buyer AS a JOIN buyer_policies AS b ON a.id = b.buyer_id"
_JOINED = "FROM member AS a JOIN {0} AS b ON a.id = b.member_id"


def test_what_a_link_holds_is_said_of_the_pair() -> None:
  said = _said(
    f"SELECT a.name {_JOINED.format('member_attendance')} WHERE b.num_of_pieces > 2", STAGE
  )
  assert all("attendance" not in question for question in said), said
  pair = r"(have|has|with) (more than|over) 2 pieces for a performance"
  assert any(re.search(pair, question) for question in said), said


def test_which_pair_it_is_is_not_said_of_the_pair() -> None:
  said = _said(
    f"SELECT a.name {_JOINED.format('member_attendance')} WHERE b.performance_id = 3", STAGE
  )
  assert not any("for a performance" in question for question in said), said


def test_a_link_called_by_its_ends_is_passed_through() -> None:
  said = _said(
    f"SELECT a.name {_JOINED.format('members_services')} JOIN service AS c ON b.service_id = c.id "
    "WHERE c.type_code = 'Gym'",
    STAGE,
  )
  assert not any(re.search("(member|client) services?", question) for question in said), said


@pytest.mark.parametrize(
  "sql, short",
  [
    (f"SELECT a.name {_POLICIES} WHERE b.type = 'Car'", True),
    ("SELECT name FROM buyer WHERE id NOT IN (SELECT buyer_id FROM buyer_policies)", True),
    (f"SELECT a.name, COUNT(*) {_POLICIES} GROUP BY a.id", True),
    ("SELECT COUNT(*) FROM buyer_policies", False),
    # The notes of buyers' policies are no policies of the notes.
    (
      "SELECT COUNT(*) FROM policy_notes AS a JOIN buyer_policies AS b ON a.policy_id = b.id "
      "WHERE b.type = 'Car'",
      False,
    ),
  ],
)
def test_rows_beside_those_that_they_belong_to_are_not_called_by_them(
  sql: str, short: bool
) -> None:
  said = _said(sql, STAGE)
  assert all(("buyer polic" in question) is not short for question in said), said
  assert all("polic" in question for question in said)


@pytest.mark.parametrize("operator", ["EXCEPT", "INTERSECT"])
def test_values_of_two_sets_of_rows_are_not_asked_for_by_a_verb_behind_them(operator: str) -> None:
  half = f"SELECT a.name {_JOINED.format('member_attendance')} WHERE b.num_of_pieces"
  of_hosts = half.replace("a.name", "c.host").replace(
    "WHERE", "JOIN performance AS c ON b.performance_id = c.id WHERE"
  )
  said = _said(f"{of_hosts} > 2 {operator} {of_hosts} = 1", STAGE)
  assert not any(re.search(r"\d.* (has|have( in common)?)\W?$", question) for question in said), (
    said
  )


@pytest.mark.parametrize("column", ["buyer_id", "type"])
def test_the_verb_agrees_with_the_values(column: str) -> None:
  rows = f"SELECT {column} FROM buyer_policies"
  said = _said(f"{rows} WHERE type = 'Car' INTERSECT {rows} WHERE type = 'Life'", STAGE)
  assert not any(re.search("(ids|types) is ", question) for question in said), said


SCHOOL = Schema(
  "school",
  "sqlite",
  (
    _table("student: id number, name text, sex text"),
    _table("people: id number, name text"),
    _table("course: id number, title text, day_or_boarding text"),
    _table(
      "student_participates_in: id number, student_id number, course_id number, games number",
      _key("student_id", "student"),
      _key("course_id", "course"),
    ),
    _table(
      "enrolled: student_id number, course_id number",
      _key("student_id", "student"),
      _key("course_id", "course"),
    ),
    _table(
      "claim: id number, student_id number, date_claim_made date, date_settled date, "
      "amount_claimed number",
      _key("student_id", "student"),
    ),
    _table("school: id number, school text, town text"),
    _table("school_details: school_id number, nickname text", _key("school_id", "school")),
  ),
)


@pytest.mark.parametrize(
  "table, said",
  [
    ("student_participates_in", "student participation"),
    ("member_attendance", "member attendance"),
  ],
)
def test_a_table_of_deeds_is_called_by_a_noun(table: str, said: str) -> None:
  schema = STAGE if table.startswith("member") else SCHOOL
  assert names_of(schema).table(schema.table(table)).nouns[0].singular == said


CLINIC = Schema(
  "clinic",
  "sqlite",
  (
    _table("doctor: id number, name text, line_1_number_building text"),
    _table("drug: id number, name text"),
    _table("course: id number, title text"),
    _table("happy_hour: HH_ID number, num_of_staff number"),
    _table("people: id number, name text, num_of_shaff number"),
    _table("ward: id number, sq_m number, descriptrion text, horse text, open_houses number"),
    *(
      _table(
        f"{name}: id number, doctor_id number, {other}_id number, {columns}",
        _key("doctor_id", "doctor"),
        _key(f"{other}_id", other),
      )
      for name, other, columns in (
        ("prescribes", "drug", "date_prescribes date, dose number"),
        ("takes", "course", "grade text"),
        ("trained_in", "course", "certificate_expires date"),
        ("works_on", "course", "hours number"),
        ("on_call", "ward", "on_call_start date"),
        ("visits_ward", "ward", "date_in_ward_from date"),
        ("doctor_register_ward", "ward", "register_year number"),
        ("doctor_compatible_drug", "drug", "compatible_since_year number"),
        ("enrolled_doctors", "course", "grade text"),
        ("acceptance", "course", "result text"),
        ("admission", "course", "fee number"),
        ("skills_required_to_fix", "drug", "grade text"),
      )
    ),
    _table("operate_company: id number, name text"),
    _table(
      "happy_hour_people: id number, HH_ID number, people_id number, Affirmative number",
      _key("people_id", "people"),
      _key("Affirmative", "people"),
    ),
  ),
)


@pytest.mark.parametrize(
  "table, said",
  [
    ("prescribes", "prescriptions"),
    ("takes", "enrollments"),
    ("trained_in", "trainings"),
    ("works_on", "assignments"),
    ("on_call", "on-call shifts"),
    ("visits_ward", "ward visits"),
    ("doctor_register_ward", "ward registrations"),
    ("doctor_compatible_drug", "drug compatibilities"),
    ("enrolled_doctors", "enrolled doctors"),
    ("acceptance", "acceptance decisions"),
    ("admission", "admissions"),
    ("skills_required_to_fix", "skills required to fix"),
    ("operate_company", "operating companies"),
    ("happy_hour_people", "happy hour participations"),
  ],
)
def test_a_table_called_by_a_verb_or_by_its_ends_is_called_by_a_noun(table: str, said: str) -> None:
  assert names_of(CLINIC).table(CLINIC.table(table)).nouns[0].plural == said


@pytest.mark.parametrize(
  "table, column, said",
  [
    ("prescribes", "date_prescribes", "prescription date"),
    ("trained_in", "certificate_expires", "certificate expiry date"),
    ("on_call", "on_call_start", "on-call shift start"),
    ("visits_ward", "date_in_ward_from", "ward start date"),
    ("doctor_register_ward", "register_year", "registration year"),
    ("doctor_compatible_drug", "compatible_since_year", "compatibility start year"),
    ("happy_hour", "HH_ID", "happy hour id"),
    ("happy_hour_people", "HH_ID", "happy hour id"),
    ("doctor", "line_1_number_building", "first address line"),
    ("people", "num_of_shaff", "number of staff"),
    ("ward", "descriptrion", "description"),
    ("ward", "horse", "horse"),
  ],
)
def test_a_column_is_said_in_the_words_of_its_table_and_spelled_right(
  table: str, column: str, said: str
) -> None:
  of = CLINIC.table(table)
  assert names_of(CLINIC).column(of, of.column(column)).nouns[0].singular == said


def test_a_key_that_is_called_by_a_plural_counts_nothing() -> None:
  of = _table("visit: id number, drugs number", _key("drugs", "drug"))
  schema = Schema("clinic", "sqlite", (CLINIC.table("drug"), of))
  assert names_of(schema).column(of, of.column("drugs")).nouns[0].singular == "drug"


def test_who_registers_at_a_place_does_not_take_it() -> None:
  said = _said(
    "SELECT a.id FROM ward AS a JOIN doctor_register_ward AS b ON a.id = b.ward_id "
    "JOIN doctor AS c ON b.doctor_id = c.id WHERE c.name = 'Ann'",
    CLINIC,
  )
  assert not any("taken" in question for question in said), said


@pytest.mark.parametrize(
  "name, alone",
  [
    ("party_host", False),
    ("hosting_party", False),
    ("party_advisor", False),
    ("party_invitation", True),
    ("party", True),
  ],
)
def test_a_table_called_by_its_ends_alone_is_not_asked_about_alone(name: str, alone: bool) -> None:
  party, host = _table("party: id number, name text"), _table("host: id number, name text")
  link = _table(
    "link: party_id number, host_id number", _key("party_id", "party"), _key("host_id", "host")
  )
  link = Table(name, link.columns, ("party_id", "host_id"), link.foreign_keys)
  schema = Schema("parties", "sqlite", (party, host, *([link] if name != "party" else ())))
  assert names_of(schema).asked_alone(schema.table(name)) == alone


def test_a_choice_of_type_has_a_plural() -> None:
  said = _said(
    "SELECT day_or_boarding FROM course GROUP BY day_or_boarding HAVING COUNT(*) > 3", SCHOOL
  )
  assert not any("boarding type have" in question for question in said), said


def test_what_rows_count_is_that_of_the_row_that_they_belong_to() -> None:
  said = _said(
    "SELECT a.title, SUM(b.games) FROM course AS a JOIN student_participates_in AS b "
    "ON a.id = b.course_id GROUP BY a.id",
    SCHOOL,
  )
  assert all(re.search("numbers? of games|game count", question) for question in said), said
  assert not any("participat" in question for question in said), said


def test_pairs_are_not_counted_as_one_of_their_ends() -> None:
  sql = (
    "SELECT a.sex, COUNT(*) FROM student AS a JOIN student_participates_in AS b "
    "ON a.id = b.student_id GROUP BY a.sex"
  )
  pure = Table(
    **{
      **vars(SCHOOL.table("student_participates_in")),
      "primary_key": ("student_id", "course_id"),
      "columns": SCHOOL.table("student_participates_in").columns[1:3],
    }
  )
  schema = Schema("school", "sqlite", (*SCHOOL.tables[:3], pure))
  said = _said(sql, schema)
  assert all("participation" in question for question in said), said


@pytest.mark.parametrize(
  "sql, doubled",
  [
    (
      "SELECT a.nickname, b.school FROM school_details AS a JOIN school AS b ON a.school_id = b.id",
      "school (for each|for every|of (each|every)) school|schools (of|for) schools",
    ),
    (
      "SELECT strftime('%Y', date_claim_made), COUNT(*) FROM claim "
      "GROUP BY strftime('%Y', date_claim_made)",
      "year of the date",
    ),
    (
      "SELECT a.name, SUM(b.amount_claimed) FROM student AS a JOIN claim AS b "
      "ON a.id = b.student_id GROUP BY a.id",
      "claim amount claimed|amounts? claimed of claims",
    ),
    ("SELECT MAX(amount_claimed) FROM claim", "amount claimed (of|for|across) (all )?(the )?claim"),
    (
      "SELECT a.title, d.name FROM course AS a JOIN student_participates_in AS b "
      "ON a.id = b.course_id JOIN student AS c ON b.student_id = c.id "
      "JOIN people AS d ON c.id = d.id",
      "student names of (their|those) students",
    ),
  ],
)
def test_a_word_is_not_doubled(sql: str, doubled: str) -> None:
  said = _said(sql, SCHOOL)
  assert not any(re.search(doubled, question) for question in said), said


def test_what_is_compared_with_an_aggregate_says_whose_it_is() -> None:
  said = _said(
    "SELECT date_settled FROM claim GROUP BY date_settled HAVING AVG(amount_claimed) > "
    "(SELECT AVG(amount_claimed) FROM claim)",
    SCHOOL,
  )
  assert not any(re.search(r"average amount claimed\W*$", question) for question in said), said


def test_names_returned_once_are_not_different_names() -> None:
  said = _said("SELECT DISTINCT name FROM member", STAGE)
  assert not any("different" in question for question in said), said
  assert any("different hosts" in q for q in _said("SELECT DISTINCT host FROM performance", STAGE))


def test_what_is_denied_of_one_pair_is_denied_of_any() -> None:
  half = f"SELECT a.id, a.name {_JOINED.format('member_attendance')} WHERE b.num_of_pieces > 2"
  said = _said(f"SELECT id, name FROM member EXCEPT {half}", STAGE)
  denied = [question for question in said if re.search("not|n't|never", question)]
  assert denied and all("for any performance" in question for question in denied), denied


def test_what_a_key_calls_an_address_does_not_repeat_its_owner() -> None:
  schema = Schema(
    "shop",
    "sqlite",
    (
      _table("address: id number, city text, state text"),
      _table(
        "customer: id number, name text, customer_address_id number",
        _key("customer_address_id", "address"),
      ),
    ),
  )
  joined = "FROM customer AS a JOIN address AS b ON a.customer_address_id = b.id"
  said = _said(f"SELECT a.name {joined} WHERE b.state = 'Ohio'", schema)
  said |= _said(f"SELECT a.name, b.city {joined}", schema)
  assert all("address" in question for question in said), said
  assert not any(re.search("(customer|client) address", question) for question in said), said


BANK = Schema(
  "bank",
  "sqlite",
  (
    _table("bank: branch_id number, bname text, city text, state text"),
    Table(
      "customer",
      (
        Column("id", "INT", "number"),
        Column("cust_name", "TEXT", "text"),
        Column("remarks", "TEXT", "text", distinct_count=100),
        Column("note", "TEXT", "text", distinct_count=40),
        Column("city", "TEXT", "text", distinct_count=100),
        Column("branch_id", "INT", "number"),
      ),
      ("id",),
      (_key("branch_id", "bank", "branch_id"),),
      row_count=100,
    ),
    _table("employee: id number, last_name text, title text, hired date, price number"),
    _table(
      "bank_loan: id number, customer_id number, branch_id number, loan number, opened date",
      _key("customer_id", "customer"),
      _key("branch_id", "bank", "branch_id"),
    ),
    _table(
      "employees_in_banks: employee_id number, branch_id number",
      _key("employee_id", "employee"),
      _key("branch_id", "bank", "branch_id"),
    ),
  ),
)
_OF_LOANS = "FROM customer AS a JOIN bank_loan AS b ON a.id = b.customer_id"


@pytest.mark.parametrize("column, rows", [("remarks", True), ("note", False), ("city", False)])
@pytest.mark.parametrize("operator", ["INTERSECT", "EXCEPT"])
def test_values_of_which_each_row_has_its_own_are_asked_for_as_of_rows(
  operator: str, column: str, rows: bool
) -> None:
  half = f"SELECT a.{column} {_OF_LOANS} WHERE b.loan"
  said = _said(f"{half} > 2 {operator} {half} > 9", BANK)
  of_values = r"shared by|in common|both share|leaving out those|except those of|belong to"
  assert any(re.search(of_values, question) for question in said) is not rows, said


def test_rows_without_others_are_called_as_rows_are() -> None:
  joined = "FROM bank AS a JOIN bank_loan AS b ON a.branch_id = b.branch_id"
  said = _said(f"SELECT bname FROM bank EXCEPT SELECT a.bname {joined}", BANK)
  assert not any(re.search("branch|among|except|other than", question) for question in said), said


def test_nobody_is_named_by_a_job() -> None:
  said = _said("SELECT last_name FROM employee WHERE title = 'Sales Manager'", BANK)
  assert not any(re.search("named|called", question) for question in said), said
  assert any("title" in question for question in said)


def test_a_link_that_is_counted_in_a_nested_query_is_passed_through() -> None:
  rows = "SELECT employee_id FROM employees_in_banks GROUP BY employee_id HAVING COUNT(*) > 1"
  said = _said(f"SELECT last_name FROM employee WHERE id IN ({rows})", BANK)
  assert all(re.search("bank|branch", question) for question in said), said
  assert not any(re.search("employees? in|workers? in", question) for question in said), said


def test_rows_with_an_extreme_of_what_they_are_called_say_it_once() -> None:
  said = _said(f"SELECT a.cust_name {_OF_LOANS} ORDER BY b.loan LIMIT 1", BANK)
  assert all(re.search("(lowest|smallest) (bank )?loan", question) for question in said), said
  assert not any("loan with" in question for question in said), said


@pytest.mark.parametrize(
  "column, operator, than",
  [
    ("price", ">", "a? ?(higher|greater) (price|cost) than|is (higher|greater) than that of"),
    ("hired", "<", "an earlier (hire date|date of hire) than|is earlier than that of"),
    ("price", ">=", "the (price|cost) of"),
  ],
)
def test_a_value_is_compared_with_that_of_another_row(
  column: str, operator: str, than: str
) -> None:
  one = f"SELECT {column} FROM employee WHERE last_name = 'Lee'"
  said = _said(f"SELECT last_name FROM employee WHERE {column} {operator} ({one})", BANK)
  assert all(re.search(than, question) for question in said), said


SALES = Schema(
  "sales",
  "sqlite",
  (
    _table("employee: id number, last_name text, country text"),
    _table(
      "customer: id number, last_name text, support_rep_id number",
      _key("support_rep_id", "employee"),
    ),
    _table("invoice: id number, customer_id number, state text", _key("customer_id", "customer")),
    _table(
      "track: id number, name text, employee_id number, theme text, price number",
      _key("employee_id", "employee"),
    ),
    _table(
      "invoice_line: id number, invoice_id number, track_id number, share_in_percent number, "
      "day text",
      _key("invoice_id", "invoice"),
      _key("track_id", "track"),
    ),
  ),
)
_OF_REPS = "FROM customer AS a JOIN employee AS b ON a.support_rep_id = b.id"
_OF_MAKERS = "FROM track AS a JOIN employee AS b ON a.employee_id = b.id"
_OF_LINES = "FROM track AS a JOIN invoice_line AS b ON a.id = b.track_id"


@pytest.mark.parametrize(
  "sql, right, wrong",
  [
    (f"SELECT a.last_name, b.last_name {_OF_REPS}", "their support reps", "names? of the support"),
    (
      f"SELECT a.theme, b.last_name {_OF_MAKERS} WHERE b.country = 'Fiji'",
      "of the (employee|worker|staff)",
      "themes and|their",
    ),
    (
      f"SELECT a.name {_OF_LINES} JOIN invoice AS c ON b.invoice_id = c.id WHERE c.state = 'BC'",
      "invoice line",
      "(a|an) (invoice )?line (of|for|from|on|in) invoices|an? line",
    ),
    (
      "SELECT day, MIN(share_in_percent), MAX(share_in_percent) FROM invoice_line GROUP BY day",
      "(lowest and highest|smallest and largest|min(imum)? and max(imum)?) share",
      "share.* and .*share ",
    ),
    (
      f"SELECT a.name {_OF_LINES} GROUP BY a.id HAVING SUM(b.share_in_percent) > 100",
      "(total|sum|overall)",
      "of (invoice )?lines of|total share.* of (invoice )?lines",
    ),
  ],
)
def test_what_readers_stumbled_over_is_said_otherwise(sql: str, right: str, wrong: str) -> None:
  for question in _said(sql, SALES):
    assert re.search(right, question) and not re.search(wrong, question), question


def test_what_is_asked_of_each_row_is_said_behind_it_where_others_are_left_out() -> None:
  schema = Schema(
    "loans",
    "sqlite",
    (
      dataclasses.replace(_table("customer: id number, name text, city text"), row_count=300),
      _table("loan: id number, customer_id number, amount number", _key("customer_id", "customer")),
    ),
  )
  said = _said(
    "SELECT a.name, a.city, COUNT(*) FROM customer AS a JOIN loan AS b ON a.id = b.customer_id "
    "WHERE b.amount > 2500 GROUP BY a.id",
    schema,
  )
  assert not any(re.search("2500.* for each", question) for question in said), said


def test_the_first_in_an_order_is_not_one_of_two_conditions() -> None:
  sql = f"SELECT a.theme {_OF_MAKERS} WHERE b.country = 'Fiji' ORDER BY a.price DESC LIMIT 1"
  for seed in range(60):
    question = write_question(sql, SALES, random.Random(seed))
    assert not re.search("and with the", question), question


def test_a_city_and_its_state_are_said_together() -> None:
  said = _said("SELECT bname FROM bank WHERE state = 'Utah' AND city = 'Provo'", BANK)
  assert all(re.search("Provo\\W*,? (in )?\\W*Utah", question) for question in said), said


CHURCHES = Schema(
  "churches",
  "sqlite",
  (
    _table(
      "church: id number, name text, Continuation_of text, Organized_by text, created_by text"
    ),
    _table("lens: id number, name text, brand text"),
    _table("photo: id number, name text, lens_id number", _key("lens_id", "lens")),
    _table("station: id number, name text, city text"),
    _table("trip: id number, start_station_id number", _key("start_station_id", "station")),
    _table("pupil: id number, date_first_rental date, date_incident_end date, date_of_birth date"),
  ),
)


@pytest.mark.parametrize(
  "table, column, said",
  [
    ("church", "Organized_by", "organizer"),
    ("church", "created_by", "creator"),
    ("pupil", "date_first_rental", "first rental date"),
    ("pupil", "date_incident_end", "incident end date"),
    ("pupil", "date_of_birth", "date of birth"),
  ],
)
def test_what_was_done_by_somebody_or_on_a_day_is_said_by_a_noun(table, column, said) -> None:
  of = CHURCHES.table(table)
  assert names_of(CHURCHES).column(of, of.column(column)).nouns[0].singular == said


@pytest.mark.parametrize(
  "condition, said",
  [
    ("= 'Shakers'", "(is|are) a continuation of ['\"]?Shakers"),
    ("!= 'Shakers'", "n(o|')t a continuation of ['\"]?Shakers"),
    ("IN ('Shakers', 'Quakers')", "(is|are) a continuation of ['\"]?Shakers['\"]? or"),
  ],
)
def test_a_name_that_asks_for_its_object_is_said_with_it(condition: str, said: str) -> None:
  found = _said(f"SELECT name FROM church WHERE Continuation_of {condition}", CHURCHES)
  assert all(re.search(said, question) for question in found), found


def test_only_nouns_can_be_said_of_anything() -> None:
  of, names = CHURCHES.table("church"), names_of(CHURCHES)
  assert [c.name for c in of.columns if not names.is_noun(of, c)] == ["Continuation_of"]


def test_things_have_what_they_were_made_with_and_do_not_belong_to_it() -> None:
  said = _said(
    "SELECT a.name FROM photo AS a JOIN lens AS b ON a.lens_id = b.id WHERE b.brand = 'Sigma'",
    CHURCHES,
  )
  assert any("have a lens" in question or "has a lens" in question for question in said), said
  assert not any("belong" in question for question in said), said
  said = _said(
    "SELECT COUNT(*) FROM trip AS a JOIN station AS b ON a.start_station_id = b.id "
    "WHERE b.city = 'Palo Alto'",
    CHURCHES,
  )
  assert not any("are in a start station" in question for question in said), said


def test_rows_with_more_than_their_two_ends_are_not_asked_about_alone_if_called_by_them() -> None:
  ends = (_table("pupil: id number, name text"), _table("address: id number, city text"))
  for name, alone in (("pupil_address", False), ("pupil_visit", True)):
    keys = (_key("pupil_id", "pupil"), _key("address_id", "address"))
    rows = _table(f"{name}: rent number, since date, pupil_id number, address_id number", *keys)
    schema = Schema("school", "sqlite", (*ends, dataclasses.replace(rows, primary_key=())))
    assert names_of(schema).asked_alone(schema.table(name)) == alone


BIKES = Schema(
  "bikes",
  "sqlite",
  (
    _table(
      "station: id number, name text, lat number, long number, state_county_province text",
      samples={"name": ("Clay at Battery", "Powell Street")},
    ),
    Table(
      "trip",
      (
        Column("id", "INTEGER", "number"),
        Column("start_station_name", "TEXT", "text", comment="this should be removed"),
        Column("start_station_id", "INTEGER", "number"),
        Column("end_station_id", "INTEGER", "number"),
        Column("rank_in_week", "INTEGER", "number"),
      ),
      ("id",),
      (_key("start_station_id", "station"), _key("end_station_id", "station")),
      row_count=100,
    ),
    _table("storm: id number, damage_millions_usd number"),
    _table(
      "address: id number, address text, address2 text, city text",
      samples={"address": ("47 MySakila Drive", "28 MySQL Boulevard")},
    ),
  ),
)


@pytest.mark.parametrize(
  "table, column, said",
  [
    # Neither a sentence nor an adjective is a name.
    ("trip", "start_station_name", {"start station name"}),
    ("station", "lat", {"latitude"}),
    ("station", "long", {"longitude"}),
    ("station", "state_county_province", {"state"}),
    ("storm", "damage_millions_usd", {"damage in million dollars"}),
    # What an address is, it is not called.
    ("address", "address", {"street address"}),
    ("address", "address2", {"second address line"}),
  ],
)
def test_a_column_is_called_by_a_noun(table: str, column: str, said: set[str]) -> None:
  of = BIKES.table(table)
  nouns = names_of(BIKES).column(of, of.column(column)).short
  assert {noun.singular for noun in nouns} & said and not {
    noun.singular for noun in nouns if "remove" in noun.singular or noun.singular == "name"
  }


def test_no_value_stands_behind_a_name_that_goes_on() -> None:
  said = _said("SELECT COUNT(*) FROM trip WHERE rank_in_week = 3", BIKES)
  assert not {question for question in said if "week 3" in question}
  assert any("rank in week of 3" in question for question in said)


def test_nothing_is_in_what_it_has_by_a_role() -> None:
  query = "SELECT t.id FROM trip AS t JOIN station AS s ON t.end_station_id = s.id WHERE "
  for condition in ("s.name = 'Clay at Battery'", "s.lat > 37"):
    said = _said(query + condition, BIKES)
    assert not {q for q in said if re.search(r"\b(in|at) (the |an? )?end station", q)}, said


ALLERGIES = Schema(
  "allergies",
  "sqlite",
  (
    _table("allergy_type: allergy text, allergytype text"),
    _table("book_type: id number, name text"),
  ),
)


def test_rows_that_tell_the_types_of_things_are_these_things() -> None:
  counted = _said("SELECT COUNT(*) FROM allergy_type", ALLERGIES)
  assert all("allergies" in q and "type" not in q for q in counted)
  grouped = _said("SELECT allergytype, COUNT(*) FROM allergy_type GROUP BY allergytype", ALLERGIES)
  assert all("allergies" in q and re.search("allergy type|type|kind|sort", q) for q in grouped)
  # A table of the types themselves.
  assert all("type" in q for q in _said("SELECT COUNT(*) FROM book_type", ALLERGIES))


FLATS = Schema(
  "flats",
  "sqlite",
  (
    _table(
      "flat: id number, bathroom_count number, total_count number, heating_is text, "
      "used_kb number, booked_count number"
    ),
    _table(
      "client: id number, good_or_bad_client text, day_or_night_rate text, tenant_or_owner text"
    ),
    _table("furniture: id number, name text"),
  ),
)


def test_a_count_is_a_number_of_what_it_counts() -> None:
  table = FLATS.table("flat")
  said = {c.name: names_of(FLATS).column(table, c).nouns[0].singular for c in table.columns}
  assert said["bathroom_count"] == "number of bathrooms" and said["total_count"] == "total count"
  assert said["heating_is"] == "heating"
  assert said["used_kb"] == "amount used in KB" and said["booked_count"] == "number booked"


def test_what_is_one_or_the_other_is_a_status_of_people_and_a_type_of_things() -> None:
  table = FLATS.table("client")
  said = {c.name: names_of(FLATS).column(table, c).nouns[0].singular for c in table.columns}
  assert said["good_or_bad_client"] == "good or bad status"
  assert said["day_or_night_rate"] == "day or night rate type"
  assert said["tenant_or_owner"] == "tenant or owner"


def test_what_cannot_be_counted_is_counted_by_its_pieces() -> None:
  asked = _said("SELECT COUNT(*) FROM furniture", FLATS)
  assert asked and all("furniture items" in question for question in asked)


def test_a_word_of_other_names_cut_short_is_put_right() -> None:
  made = Schema(
    "made",
    "sqlite",
    (
      _table("manufacturer: id number, name text"),
      _table("lamp_manufacte: id number, price number"),
    ),
  )
  assert names_of(made).table(made.table("lamp_manufacte")).nouns[0].plural == "lamp manufacturers"
  alone = Schema("alone", "sqlite", (_table("lamp_manufacte: id number, price number"),))
  assert names_of(alone).table(alone.tables[0]).nouns[0].singular == "lamp manufacte"
