"""One column compared with values: equality, ranges, LIKE, NULL, lists, dates of events."""

from __future__ import annotations

import re

from sqlglot import exp

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import Verb, agree, conjugate
from spftsql_jax.questions.naming import ColumnName
from spftsql_jax.questions.parts import Clause, article, join_words, pick
from spftsql_jax.questions.phrases import Phrases
from spftsql_jax.questions.query_meaning import Ref

# What is not said of a LIKE that is denied.
_NOT_DENIED = re.compile(r"\[.*\]")
_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def _unit_of(name: ColumnName) -> str:
  """The unit in a column's name, or ""."""
  before, _, unit = name.nouns[0].singular.rpartition(" in ")
  return unit if before and unit.split()[-1] in vocabulary.UNITS else ""


def _with_unit(value: str, name: ColumnName, noun: str) -> str:
  """A value with the unit of its column's name, where the noun has it not: "above 100 billion"."""
  unit = _unit_of(name)
  if not unit or noun.endswith(f" in {unit}"):
    return value
  return f"{value}%" if unit in ("percent", "percentage") else f"{value} {unit}"


def _filled(phrase: str, value: str) -> str:
  """A phrase with a value at its place, or else behind it."""
  return phrase.replace("{0}", value) if "{0}" in phrase else f"{phrase} {value}"


def _counted(words: str, things: str) -> str:
  """ "more than 2 seats", "more than 1 seat"."""
  return f"{words} {singular_of(things) if words == '1' or words.endswith(' 1') else things}"


class Comparisons(Phrases):
  """Words conditions over one column."""

  def compare_clause(self, ref: Ref, noun: str, operator: str, node: exp.Expr, own: bool) -> Clause:
    """A column compared with a literal.

    `own` says that the column belongs to the thing described, not to a relation of it.
    """
    name = self.column_name(ref)
    tags, kind = name.tags, ref.column.kind
    noun = self._compared_noun(name, noun)
    if name.property and (operator, str(getattr(node, "this", ""))) in (
      (">", "0"),
      (">=", "1"),
      ("<", "1"),
      ("<=", "0"),
    ):
      operator, node = "=", exp.Literal.number(1 if operator in (">", ">=") else 0)
    if name.property and operator in ("=", "!="):
      return self._yes_no(name, noun, operator, node, own)
    if operator in ("=", "!="):
      return self._equal(ref, name, noun, operator == "=", node, own)
    style = self.style(ref)
    value = _with_unit(self.value(node, ref.column, style == "date"), name, noun)
    compared = self.comparison(operator, value, style)
    clause = Clause(noun, f"is {compared}", f"{article(noun)} {compared}")
    if own and name.event:
      return self.happened(name, clause, compared)
    if noun.startswith("number of "):
      clause.having = _counted(
        self.comparison(operator, value, "count"), noun.removeprefix("number of ")
      )
    elif (
      kind == "number"
      and name.nouns[0].plural == noun
      and noun.endswith("s")
      and "date" not in tags
    ):
      clause.having = _counted(self.comparison(operator, value, "count"), noun)
    if not own:
      return clause
    if (
      style == "date"
      and (tags & {"plain"} or "date" in tags)
      and self.only_of_tag(ref, "date" if "date" in tags else "year")
    ):
      clause.posts = (compared,)
      clause.verbs = self.took_place(ref, noun, compared)
    amount = self.amount(operator, value)
    if "plain" in tags and kind == "number":
      for tag, (more, less) in wordings.THING_COMPARATIVES.items():
        if (
          tag in tags
          and operator in "><"
          and (tag != "price" or noun in ("price", "cost"))
          and not (tag == "price" and self.maybe(0.5))
        ):
          measured = _with_unit(self.value(node, ref.column), name, "")
          clause.posts = (f"{more if operator == '>' else less} than {measured}",)
          clause.verbs = (conjugate(f"are {clause.posts[0]}"),)
      if noun in ("price", "cost") and not clause.posts:
        clause.posts = (
          f"costing {amount}",
          f"priced at {amount}" if operator in (">=", "<=") else f"costing {amount}",
        )
        clause.verbs = (conjugate(f"cost {amount}"),)
      if "pay" in tags:
        clause.posts = (f"earning {amount}", f"making {amount}", f"paid {amount}")
        clause.verbs = (
          conjugate(f"earn {amount}"),
          conjugate(f"make {amount}"),
        )
      if "age" in tags and operator in (">=", "<="):
        clause.posts = (
          f"aged {value} or {'older' if operator == '>=' else 'younger'}",
          f"who are {amount} years old",
        )
    return clause

  def _compared_noun(self, name: ColumnName, noun: str) -> str:
    """The noun of a column that is compared with a value: mostly the value has the unit."""
    unit = _unit_of(name)
    return noun.removesuffix(f" in {unit}") if unit and self.maybe(0.85) else noun

  def happened(self, name: ColumnName, clause: Clause, when: str) -> Clause:
    """What is said with the verb of a date called by it: "hired before 2010"."""
    _, past = vocabulary.EVENTS_OF_COLUMNS[name.event]
    clause.verbs = (conjugate(f"{past} {when}"),)
    if past.startswith("were ") or name.event in ("opened", "started"):
      clause.posts = (f"{name.event} {when}",)
    if self.maybe(0.6):
      clause.having = ""
    return clause

  def took_place(self, ref: Ref, noun: str, when: str) -> tuple[Verb, ...]:
    """The verb of a row that is itself an event, with its date: "took place in 2020"."""
    last = self.names.table(ref.table).nouns[0].singular.split()[-1]
    at = f"of {when.removeprefix('on ')}" if when.startswith("on ") else when
    dated = conjugate(f"have {article(noun)} {at}")
    if last in wordings.MEETINGS | wordings.OCCASIONS | wordings.SHOWS:
      return (
        conjugate(f"took place {when}"),
        conjugate(f"were held {when}"),
        dated,
      )
    if (
      last in wordings.DEEDS
      and wordings.DEEDS[last][0] == "made"
      or last in ("order", "loan", "complaint", "claim")
    ):
      return (conjugate(f"were made {when}"), dated)
    return (dated,)

  def between_clause(self, ref: Ref, noun: str, low: exp.Expr, high: exp.Expr, own: bool) -> Clause:
    """A column between two values. `own` as in `compare_clause`."""
    name = self.column_name(ref)
    noun = self._compared_noun(name, noun)
    a, b = (_with_unit(self.value(end, ref.column, True), name, noun) for end in (low, high))
    span = pick(self.rng, ((f"between {a} and {b}", 8), (f"from {a} to {b}", 2)))
    clause = Clause(noun, f"is {span}", f"{article(noun)} {span}")
    if own and name.event:
      return self.happened(name, clause, span)
    if noun.startswith("number of "):
      clause.having = f"{span} {noun.removeprefix('number of ')}"
    if (
      own
      and self.style(ref) == "date"
      and self.only_of_tag(ref, "date" if "date" in name.tags else "year")
    ):
      clause.posts = (span,)
      clause.verbs = self.took_place(ref, noun, span)
    elif own and "age" in name.tags:
      clause.posts = (f"aged {span}", f"between the ages of {a} and {b}")
    elif own and noun in ("price", "cost"):
      clause.posts = (f"costing {span}", f"priced {span}")
    elif own and "pay" in name.tags and "plain" in name.tags:
      clause.posts = (f"earning {span}",)
    return clause

  def like_clause(self, noun: str, pattern: str, negated: bool) -> Clause:
    """LIKE with a wildcard at either end, or inside."""
    core = pattern.strip("%")
    if not core or "_" in core or "%" in core:
      value = f"{self._quote}{pattern}{self._quote}"
      phrases = wordings.PATTERN
    else:
      plain = self.maybe(0.15) and core.isalnum()
      value = self.text(core) if plain else f"{self._quote}{core}{self._quote}"
      if self._quote in core:
        value = self.text(core)
      at_start, at_end = not pattern.startswith("%"), not pattern.endswith("%")
      phrases = wordings.LIKE[at_start, at_end]
    phrase = self.rng.choice(phrases)
    phrase = phrase.replace("{word}", "word" if core.isalpha() and len(core) > 3 else "text")
    if negated:
      denied = _NOT_DENIED.sub("", phrase).replace("are like", "match")
      return Clause(noun, f"does not {_filled(denied, value)}")
    phrase = phrase.replace("[", "").replace("]", "")
    verb, _, rest = _filled(phrase, value).partition(" ")
    gerund = wordings.GERUNDS.get(verb)
    return Clause(
      noun,
      agree(f"{verb} {rest}", plural=False),
      f"{article(noun)} {gerund} {rest}" if gerund else "",
    )

  def null_clause(self, ref: Ref, noun: str, missing: bool, own: bool) -> Clause:
    """IS NULL and IS NOT NULL."""
    event = self.column_name(ref).event
    if event in vocabulary.OPTIONAL_EVENTS and own:
      _, past = vocabulary.EVENTS_OF_COLUMNS[event]
      if past.startswith("were "):
        done = ("have not been", "were never", "were not") if missing else ("have been", "were")
        return Clause(
          noun,
          "is missing" if missing else "is recorded",
          "",
          (conjugate(f"{self.rng.choice(done)} {event}"),),
          (f"never {event}" if missing else f"already {event}",),
        )
    said = self.rng.choice(wordings.MISSING if missing else wordings.KNOWN)
    thing = article(noun)
    verbs: tuple[Verb, ...]
    posts: tuple[str, ...]
    if missing:
      verbs = (
        conjugate(f"have no {noun}"),
        conjugate(f"do not have {thing}"),
        conjugate(f"have no recorded {noun}"),
        conjugate(f"have no {noun} recorded"),
        conjugate(f"lack {thing}"),
      )
      posts = (
        f"without {thing}",
        f"with no {noun}",
        f"with a missing {noun}",
        f"with no {noun} on record",
        f"without any {noun}",
      )
    else:
      verbs = (
        conjugate(f"have {thing}"),
        conjugate(f"have a known {noun}"),
        conjugate(f"have a recorded {noun}"),
        conjugate(f"have {thing} on record"),
      )
      posts = (
        f"with {thing}",
        f"with a known {noun}",
        f"with a recorded {noun}",
        f"that have {thing} recorded",
      )
    verb = self.rng.choice(verbs)
    return Clause(noun, agree(said, plural=False), "", (verb,), (self.rng.choice(posts),))

  def in_clause(
    self, ref: Ref, noun: str, values: list[exp.Expr], negated: bool, own: bool
  ) -> Clause:
    """A column among values, or not among them. `own` as in `compare_clause`."""
    words = [self.value(v, ref.column, True) for v in values]
    tags = self.column_name(ref).tags
    if len(words) == 1:
      return self.compare_clause(ref, noun, "!=" if negated else "=", values[0], own)
    if negated:
      listed = self.rng.choice(
        (f"neither {join_words(words, 'nor')}", f"not {join_words(words, 'or')}")
      )
      if len(words) > 2:
        listed = (
          f"none of {join_words(words)}" if self.maybe(0.3) else f"not {join_words(words, 'or')}"
        )
      clause = Clause(noun, f"is {listed}", f"{article(noun)} that is {listed}")
      if own and tags & {"place"} and "plain" in tags:
        clause.posts = (f"not from {join_words(words, 'or')}",)
        clause.verbs = (conjugate(f"are not from {join_words(words, 'or')}"),)
      return clause
    listed = join_words(words, "or")
    either = f"either {listed}" if self.maybe(0.5) else listed
    clause = Clause(
      noun,
      f"is {either}",
      self.rng.choice((f"the {noun} {listed}", f"{article(noun)} of {either}")),
    )
    if ref.column.kind == "number":
      clause.having = f"{article(noun)} of {either}"
    if own and self.column_name(ref).event:
      return self.happened(
        self.column_name(ref), clause, f"{'in' if 'year' in tags else 'on'} {either}"
      )
    if own and "place" in tags and "plain" in tags:
      clause.posts = (f"from {either}", f"in {either}")
      clause.verbs = (conjugate(f"are from {either}"),)
    elif own and "year" in tags and self.only_of_tag(ref, "year"):
      clause.posts = (f"from {either}", f"in {either}")
    return clause

  def _equal(
    self, ref: Ref, name: ColumnName, noun: str, positive: bool, node: exp.Expr, own: bool
  ) -> Clause:
    tags, kind = name.tags, ref.column.kind
    value = _with_unit(self.value(node, ref.column, "date" in tags), name, noun)
    if own and positive and name.event:
      return self.happened(
        name,
        Clause(noun, f"is {value}", f"{article(noun)} of {value}"),
        f"{'in' if 'year' in tags else 'on'} {value}",
      )
    if not positive:
      wording = self.rng.choice(
        (
          f"is not {value}",
          f"is not {value}",
          f"is not equal to {value}" if kind == "number" else f"is different from {value}",
          f"is anything other than {value}",
          f"isn't {value}",
        )
      )
      clause = Clause(
        noun,
        wording,
        f"{article(noun)} other than {value}"
        if self.maybe(0.5)
        else f"{article(noun)} different from {value}",
      )
      if own and "place" in tags and "plain" in tags:
        clause.posts = (
          f"not from {value}",
          f"outside {value}" if name.short[0].singular != "nationality" else f"not from {value}",
        )
        clause.verbs = (
          conjugate(f"are not from {value}"),
          conjugate(f"do not come from {value}"),
        )
      elif (
        own
        and noun.split()[-1] in ("gender", "sex")
        and str(getattr(node, "this", "")).lower() in _GENDERS
      ):
        word = _GENDERS[str(node.this).lower()]
        return Clause(noun, f"is not {word}", "", (conjugate(f"are not {word}"),))
      elif own and kind == "text" and "plain" in tags:
        clause.verbs = (conjugate(f"do not have the {noun} {value}"),)
      return clause
    clause = Clause(noun, f"is {value}", f"{noun} {value}")
    if kind == "number":
      clause.having = self.rng.choice(
        (
          f"{article(noun)} of {value}",
          f"{noun} {value}",
          f"{article(noun)} of exactly {value}",
          f"{article(noun)} equal to {value}",
        )
      )
    else:
      clause.having = self.rng.choice(
        (f"{noun} {value}", f"the {noun} {value}", f"{noun} {value}", f"{article(noun)} of {value}")
      )
    if noun.startswith("number of "):
      clause.having = _counted(value, noun.removeprefix("number of "))
    if not own:
      return clause
    if name.names_entity or (tags & {"name"} and "plain" in tags):
      clause.posts = (
        f"named {value}",
        f"called {value}",
        f"with the {noun} {value}",
        f"with {noun} {value}",
      )
      clause.verbs = (
        conjugate(f"are named {value}"),
        conjugate(f"are called {value}"),
      )
    elif "place" in tags and "plain" in tags:
      if name.short[0].singular == "nationality":
        clause.posts = (
          f"of nationality {value}",
          f"with {value} nationality",
          f"with nationality {value}",
        )
      else:
        clause.posts = (
          f"from {value}",
          f"in {value}",
          f"from {value}",
          f"located in {value}" if not self.names.table(ref.table).person else f"living in {value}",
          f"based in {value}",
        )
        clause.verbs = (
          conjugate(f"are from {value}"),
          conjugate(f"are in {value}"),
        ) + (
          (conjugate(f"live in {value}"),)
          if self.names.table(ref.table).person
          else (conjugate(f"are located in {value}"),)
        )
    elif "year" in tags and self.only_of_tag(ref, "year"):
      clause.posts = (
        f"in {value}",
        f"from {value}",
        f"of {value}",
        f"in the year {value}",
        f"from the year {value}",
      )
      clause.verbs = (conjugate(f"are from {value}"),)
    elif "date" in tags and self.only_of_tag(ref, "date"):
      clause.posts = (f"on {value}", f"dated {value}")
      clause.verbs = self.took_place(ref, noun, f"on {value}")
    elif "age" in tags:
      clause.posts = (f"aged {value}", f"who are {value} years old", f"of age {value}")
      clause.verbs = (conjugate(f"are {value} years old"),)
    elif noun in ("price", "cost") and kind == "number":
      clause.posts = (f"costing {value}", f"priced at {value}")
      clause.verbs = (conjugate(f"cost {value}"),)
    elif "type" in tags and kind != "number":
      text = node.this if isinstance(node, exp.Literal) else value
      last = noun.split()[-1]
      if last in ("gender", "sex") and text.lower() in _GENDERS:
        word = _GENDERS[text.lower()]
        if self.maybe(0.75):
          clause.adjectives = (word,)
          clause.verbs, clause.having = (conjugate(f"are {word}"),), ""
      elif last in ("type", "kind", "category", "class") and "plain" in tags:
        clause.posts = (
          f"of {last} {value}",
          f"in the {value} {last}" if last in ("category", "class") else f"of the {last} {value}",
          f"of the {value} {last}",
        )
      if (
        "plain" in tags
        and text.replace(" ", "").replace("-", "").isalpha()
        and len(text.split()) < 3
        and len(text) > 2
        and self.maybe(0.5)
      ):
        clause.adjectives = clause.adjectives or (text,)
    if (
      kind == "text"
      and not clause.verbs
      and not clause.adjectives
      and not noun.startswith("number of ")
    ):
      clause.verbs = (conjugate(f"have the {noun} {value}"),)
    return clause

  def _yes_no(
    self, name: ColumnName, noun: str, operator: str, node: exp.Expr, own: bool
  ) -> Clause:
    text = str(node.this).lower() if isinstance(node, (exp.Literal, exp.Boolean)) else ""
    said = kinds.yes_or_no(text)
    if said is None or not own:
      value = self.value(node)
      return Clause(
        noun,
        f"is {value}" if operator == "=" else f"is not {value}",
        f"{noun} {value}" if operator == "=" else "",
      )
    positive = said == (operator == "=")
    if name.property.startswith(("has ", "can ")):
      verb, _, rest = name.property.partition(" ")
      if verb == "can":
        return Clause(
          verbs=(conjugate(f"can {rest}") if positive else conjugate(f"cannot {rest}"),)
        )
      if positive:
        return Clause(having=rest, verbs=(conjugate(f"have {rest}"),), posts=(f"with {rest}",))
      return Clause(
        verbs=(conjugate(f"do not have {rest}"), conjugate(f"have no {rest}")),
        posts=(f"without {rest}",),
      )
    word = name.property
    if positive:
      return Clause(
        verbs=(conjugate(f"are {word}"),), adjectives=(word,) if " " not in word else ()
      )
    return Clause(
      verbs=(conjugate(f"are not {word}"), conjugate(f"aren't {word}")),
      posts=(f"not {word}",) if word.endswith("ed") else (),
    )
