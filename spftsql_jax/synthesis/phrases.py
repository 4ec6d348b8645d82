"""Words for the parts of a query: nouns for tables and columns, values, and single conditions.

`Phrases` holds the choices made for one question, so that a thing is called the same throughout it.
"""

from __future__ import annotations

import dataclasses
import random
import re

from sqlglot import exp

from spftsql_jax.databases.schema import Column, Table
from spftsql_jax.synthesis import wordings
from spftsql_jax.synthesis.naming import ColumnName, Noun, SchemaNames, plural_of, role_of
from spftsql_jax.synthesis.query_meaning import Query, Ref, UnsupportedQuery, bare

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_PLAIN_TEXT = re.compile(r"[A-Za-zÀ-ÿ0-9][\wÀ-ÿ\-&'./ ]*[\wÀ-ÿ]|\w")
_RISKY_WORDS = re.compile(r"\b(and|or|with|of|the|is|in|by|not|all|to|for|from)\b", re.IGNORECASE)
_OPERATORS = {exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_FLIPPED = {"=": "=", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_NEGATED = {"=": "!=", "!=": "=", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}


@dataclasses.dataclass
class Clause:
  """One condition on some rows, in the forms that sentences need. Empty forms are not available.

  Attributes:
    noun: the attribute ("salary"); predicate: what is said of it, with its verb ("is above 100"). "whose salary is above 100".
    having: after with or have ("a salary above 100").
    verbs: after who or that, (plural, singular) ("are older than 30", "is older than 30").
    posts: directly after the noun ("older than 30", "from Boston").
    adjectives: directly before the noun ("female").
    sentence: a full sentence part where noun and predicate are not enough ("the salary is above 100 or the city is Boston").
  """

  noun: str = ""
  predicate: str = ""
  having: str = ""
  verbs: tuple[tuple[str, str], ...] = ()
  posts: tuple[str, ...] = ()
  adjectives: tuple[str, ...] = ()
  sentence: str = ""


def pick(rng: random.Random, options: tuple) -> str:
  """A member of (text, weight) pairs, or of plain texts."""
  if isinstance(options[0], tuple):
    total = sum(w for _, w in options)
    point = rng.random() * total
    for text, weight in options:
      point -= weight
      if point <= 0:
        return text
    return options[-1][0]
  return options[int(rng.random() * len(options))]


def join_words(words: list[str], conjunction: str = "and") -> str:
  """ "a", "a and b", "a, b and c"."""
  if len(words) < 2:
    return "".join(words)
  return ", ".join(words[:-1]) + f" {conjunction} " + words[-1]


def article(phrase: str) -> str:
  """The phrase with a or an; without, where it is no countable singular ("information", "GNP")."""
  word = phrase.split(" ", 1)[0].lower()
  if phrase.split(" ")[-1].lower() in wordings.UNCOUNTABLE or (plural_of(phrase) == phrase and " of " not in phrase):
    return phrase
  vowel = word[0] in "aeiou" and not word.startswith(("uni", "use", "user", "eu", "one", "usu", "us")) or word in ("hour", "mph", "mpg", "honor", "sms")
  return f"{'an' if vowel else 'a'} {phrase}"


class Phrases:
  """The words chosen for one question: nouns, column names, values and simple conditions."""

  def __init__(self, names: SchemaNames, rng: random.Random):
    self.names = names
    self.rng = rng
    self._table_nouns: dict[str, Noun] = {}
    self._column_nouns: dict[tuple[str, str], Noun] = {}
    self._synonym_rate = 0.22 if rng.random() < 0.6 else 0.0
    self._quote = "'" if rng.random() < 0.4 else '"'
    self._bare = rng.random() < 0.62
    self._long_dates = rng.random() < 0.4

  def maybe(self, probability: float) -> bool:
    return self.rng.random() < probability

  # ------------------------------------------------------------------------------------------------------------ nouns

  def table_noun(self, table: Table) -> Noun:
    """The noun of a table's rows, the same throughout the question."""
    key = table.name.lower()
    if key not in self._table_nouns:
      nouns = self.names.table(table).nouns
      chosen = self.rng.choice(nouns[1:]) if len(nouns) > 1 and self.maybe(self._synonym_rate) else nouns[0]
      self._table_nouns[key] = chosen
    return self._table_nouns[key]

  def noun(self, query: Query, alias: str) -> Noun:
    """The noun of one table occurrence: the role that its foreign key gives it, or its table's."""
    table = query.sources[alias]
    alone = sum(t is table for t in query.sources.values()) == 1
    for edge in query.edges:
      if edge.parent == alias and edge.same:
        return self.noun(query, edge.child)
      if edge.parent == alias and edge.is_key:
        role = role_of(edge.columns, table, self.names)
        if role is not None and (not alone or self.names.table(table).nouns[0].singular not in role.singular.split()[:-1]):
          return role
    if not alone and not any(e.child == alias for e in query.edges):
      raise UnsupportedQuery(f"two uses of table {table.name} that have no names of their own")
    return self.table_noun(table)

  def person(self, query: Query, alias: str) -> bool:
    return self.names.table(query.sources[alias]).person or any(
      e.parent == alias and e.same and self.names.table(query.sources[e.child]).person for e in query.edges
    )

  def column_name(self, ref: Ref) -> ColumnName:
    return self.names.column(ref.table, ref.column)

  def short(self, ref: Ref) -> Noun:
    """A column's noun beside its entity: "name" in "the name of the product"; the same throughout the question."""
    key = (ref.table.name, ref.column.name)
    if key not in self._column_nouns:
      self._column_nouns[key] = self._choose_short(ref)
    return self._column_nouns[key]

  def _choose_short(self, ref: Ref) -> Noun:
    name = self.column_name(ref)
    options = name.short if self.maybe(0.75) else name.nouns
    if name.nouns[0].singular.split()[-1] in ("id", "code") and len(name.short[0].singular.split()) == 1:
      options = name.short if self.maybe(0.6) else name.nouns
    return self.rng.choice(options[1:]) if len(options) > 1 and self.maybe(self._synonym_rate) else options[0]

  def qualified(self, query: Query, ref: Ref) -> Noun:
    """A column's noun away from its entity: "product name"."""
    owner, name = self.noun(query, ref.alias), self.column_name(ref)
    full, short = name.nouns[0], name.short[0]
    if owner.singular in full.singular or owner.singular.split()[-1] in full.singular.split()[:-1] or name.nouns[0].singular == owner.singular:
      return full
    if name.names_entity and self.maybe(0.3):
      return owner
    if " of " in short.singular:
      return Noun(f"{short.singular} of the {owner.singular}", f"{short.plural} of the {owner.plural}")
    return Noun(f"{owner.singular} {short.singular}", f"{owner.singular} {short.plural}")

  # ----------------------------------------------------------------------------------------------------------- values

  def value(self, node: exp.Expression, column: Column | None = None, date: bool = False) -> str:
    """A literal as people write it."""
    if isinstance(node, exp.Paren):
      return self.value(node.this, column, date)
    if isinstance(node, exp.Neg):
      return "-" + self.value(node.this, column)
    if isinstance(node, exp.Boolean):
      return "true" if node.this else "false"
    if isinstance(node, exp.Cast) or (isinstance(node, exp.Func) and isinstance(node.this, exp.Literal)):
      return self.value(node.this, column, date)
    if not isinstance(node, exp.Literal):
      raise UnsupportedQuery(f"the value {node.sql()}")
    text = node.this
    if not node.is_string:
      if text.isdigit() and len(text) > 4 and self.maybe(0.12) and not (column is not None and "id" in column.name.lower()):
        return f"{int(text):,}"
      return text
    match = _DATE.fullmatch(text)
    if match and self._long_dates and 1 <= int(match[2]) <= 12:
      month, day = wordings.MONTHS[int(match[2]) - 1], int(match[3])
      return f"{month} {day}, {match[1]}" if self.maybe(0.7) else f"{day} {month} {match[1]}"
    if match or (date and re.fullmatch(r"[\d: .\-/T]+", text)):
      return text
    return self.text(text)

  def text(self, text: str) -> str:
    """A text value: bare where it cannot be mistaken, else in quotes that it does not contain."""
    if re.fullmatch(r"\d+(\.\d+)?", text) and self.maybe(0.7):
      return text
    proper = text[:1].isupper() or " " in text
    if _PLAIN_TEXT.fullmatch(text) and len(text.split()) < 6 and not (_RISKY_WORDS.search(text) and not text[:1].isupper()):
      bare = self._bare if proper else self._bare and self.maybe(0.6)
      if bare and "'" not in text[-2:]:
        return text
    quote = self._quote
    if quote in text:
      quote = "'" if quote == '"' else '"'
    return f"{quote}{text}{quote}"

  def small(self, number: int) -> str:
    """A count: often in letters."""
    return wordings.NUMBER_WORDS[number] if 0 <= number < len(wordings.NUMBER_WORDS) and self.maybe(0.4) else str(number)

  # ------------------------------------------------------------------------------------------------------ comparisons

  def comparison(self, operator: str, value: str, style: str = "number") -> str:
    """ "more than 5", "5 or more", "before 2019". Styles: number, count, date, text."""
    tables = {
      "number": {">": wordings.MORE, "<": wordings.LESS, ">=": wordings.AT_LEAST, "<=": wordings.AT_MOST},
      "count": {">": wordings.MORE_COUNT, "<": wordings.LESS_COUNT, ">=": wordings.AT_LEAST_COUNT, "<=": wordings.AT_MOST_COUNT},
      "date": {">": wordings.AFTER, "<": wordings.BEFORE, ">=": wordings.SINCE, "<=": wordings.UNTIL},
    }
    words = pick(self.rng, tables[style][operator])
    return words.replace("{0}", value) if "{0}" in words else f"{words} {value}"

  def amount(self, operator: str, value: str) -> str:
    """A comparison that can follow cost or earn: "more than 5", "5 or more"."""
    words = {">": ("more than", "more than", "over"), "<": ("less than", "less than", "under"), ">=": ("at least", "{0} or more", "no less than"),
             "<=": ("at most", "no more than", "{0} or less")}[operator]  # fmt: skip
    word = self.rng.choice(words)
    return word.replace("{0}", value) if "{0}" in word else f"{word} {value}"

  def superlative(self, tags: frozenset[str], descending: bool) -> str:
    """The adjective of a column's extreme: "highest", "most recent"."""
    for tag, (high, low) in wordings.NOUN_SUPERLATIVES.items():
      if tag in tags or not tag:
        return pick(self.rng, high if descending else low)
    raise AssertionError("the table ends with a row for any column")

  def style(self, ref: Ref) -> str:
    return "date" if self.column_name(ref).tags & {"date", "year"} else "number"

  def only_of_tag(self, ref: Ref, tag: str) -> bool:
    """Whether no other column of the table shares the tag: then "in 2019" needs no column name."""
    return sum(tag in self.names.column(ref.table, c).tags for c in ref.table.columns) == 1

  # -------------------------------------------------------------------------------------------------- simple conditions

  def compare_clause(self, ref: Ref, noun: str, operator: str, node: exp.Expression, own: bool) -> Clause:
    """A column compared with a literal. `own` says that the column belongs to the thing described, not to a relation of it."""
    name = self.column_name(ref)
    tags, kind = name.tags, ref.column.kind
    if name.property and (operator, str(getattr(node, "this", ""))) in ((">", "0"), (">=", "1"), ("<", "1"), ("<=", "0")):
      operator, node = "=", exp.Literal.number(1 if operator in (">", ">=") else 0)
    if name.property and operator in ("=", "!="):
      return self._yes_no(name, noun, operator, node, own)
    if operator in ("=", "!="):
      return self._equal(ref, name, noun, operator == "=", node, own)
    style = self.style(ref)
    value = self.value(node, ref.column, style == "date")
    compared = self.comparison(operator, value, style)
    clause = Clause(noun, f"is {compared}", f"{article(noun)} {compared}")
    if own and name.event:
      return self.happened(name, clause, compared)
    if noun.startswith("number of "):
      counted = self.comparison(operator, value, "count")
      clause.having = f"{counted} {noun.removeprefix('number of ')}"
    elif kind == "number" and name.nouns[0].plural == noun and "date" not in tags:
      clause.having = f"{self.comparison(operator, value, 'count')} {noun}"
    if not own:
      return clause
    if style == "date" and (tags & {"plain"} or "date" in tags) and self.only_of_tag(ref, "date" if "date" in tags else "year"):
      clause.posts = (compared,)
      clause.verbs = ((f"are from {compared}" if False else f"have {article(noun)} {compared}", f"has {article(noun)} {compared}"),)
    amount = self.amount(operator, value)
    if "plain" in tags and kind == "number":
      for tag, (more, less) in wordings.THING_COMPARATIVES.items():
        if tag in tags and operator in "><" and (tag != "price" or noun in ("price", "cost")) and not (tag == "price" and self.maybe(0.5)):
          clause.posts = (f"{more if operator == '>' else less} than {value}",)
          clause.verbs = ((f"are {clause.posts[0]}", f"is {clause.posts[0]}"),)
      if noun in ("price", "cost") and not clause.posts:
        clause.posts = (f"costing {amount}", f"priced at {amount}" if operator in (">=", "<=") else f"that cost {amount}")
        clause.verbs = ((f"cost {amount}", f"costs {amount}"),)
      if "pay" in tags:
        clause.posts = (f"earning {amount}", f"making {amount}", f"paid {amount}")
        clause.verbs = ((f"earn {amount}", f"earns {amount}"), (f"make {amount}", f"makes {amount}"))
      if "age" in tags and operator in (">=", "<="):
        clause.posts = (f"aged {value} or {'older' if operator == '>=' else 'younger'}", f"who are {amount} years old")
    return clause

  def happened(self, name: ColumnName, clause: Clause, when: str) -> Clause:
    """What is said with the verb of a date called by it: "hired before 2010", "that opened in 2001"."""
    _, plural, singular = wordings.EVENTS_OF_COLUMNS[name.event]
    clause.verbs = ((f"{plural} {when}", f"{singular} {when}"),)
    if plural.startswith("were ") or name.event in ("opened", "started"):
      clause.posts = (f"{name.event} {when}",)
    if self.maybe(0.6):
      clause.having = ""
    return clause

  def between_clause(self, ref: Ref, noun: str, low: exp.Expression, high: exp.Expression, own: bool) -> Clause:
    a, b = self.value(low, ref.column, True), self.value(high, ref.column, True)
    span = pick(self.rng, ((f"between {a} and {b}", 8), (f"from {a} to {b}", 2)))
    clause = Clause(noun, f"is {span}", f"{article(noun)} {span}")
    name = self.column_name(ref)
    if own and name.event:
      return self.happened(name, clause, span)
    if noun.startswith("number of "):
      clause.having = f"{span} {noun.removeprefix('number of ')}"
    if own and self.style(ref) == "date" and self.only_of_tag(ref, "date" if "date" in name.tags else "year"):
      clause.posts = (span,)
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
      verbs = (("match the pattern", "matches the pattern"), ("follow the pattern", "follows the pattern"))
    else:
      value = self.text(core) if self.maybe(0.15) and core.isalnum() else f"{self._quote}{core}{self._quote}"
      if self._quote in core:
        value = self.text(core)
      if pattern.startswith("%") and pattern.endswith("%"):
        verbs = (("contain", "contains"), ("include", "includes"), ("have", "has {0} in it"), ("contain the word" if core.isalpha() and len(core) > 3 else
                 "contain the text", "contains the word" if core.isalpha() and len(core) > 3 else "contains the text"))  # fmt: skip
      elif pattern.endswith("%"):
        verbs = (("start with", "starts with"), ("begin with", "begins with"), ("start with", "starts with the text"))
      elif pattern.startswith("%"):
        verbs = (("end with", "ends with"), ("end in", "ends in"), ("end with", "ends with the text"))
      else:
        verbs = (("be", "is like"), ("match", "matches"))
    base, third = self.rng.choice(verbs)
    if negated:
      base = base if base != "be" else "match"
      return Clause(noun, f"does not {base} {value}", "")
    predicate = third.replace("{0}", value) if "{0}" in third else f"{third} {value}"
    having = ""
    if third.startswith(("contains", "starts", "begins", "ends", "includes", "matches")):
      word = third.split()[0]
      gerund = {"contains": "containing", "starts": "starting", "begins": "beginning", "ends": "ending", "includes": "including", "matches": "matching"}
      having = f"{article(noun)} {third.replace(word, gerund[word], 1)} {value}"
    return Clause(noun, predicate, having)

  def null_clause(self, ref: Ref, noun: str, missing: bool, own: bool) -> Clause:
    """IS NULL and IS NOT NULL."""
    event = self.column_name(ref).event
    if event and own:
      _, plural, singular = wordings.EVENTS_OF_COLUMNS[event]
      if plural.startswith("were "):
        done = (("have not been", "has not been"), ("were never", "was never"), ("were not", "was not")) if missing else (("have been", "has been"), ("were", "was"))
        verb = self.rng.choice(done)
        return Clause(noun, "is missing" if missing else "is recorded", "", ((f"{verb[0]} {event}", f"{verb[1]} {event}"),), (f"never {event}" if missing else f"already {event}",))
    if missing:
      predicate = self.rng.choice(("is missing", "is unknown", "is not known", "is not recorded", "is null", "is empty", "is not given", "has no value"))
      verbs = (
        (f"have no {noun}", f"has no {noun}"),
        (f"do not have {article(noun)}", f"does not have {article(noun)}"),
        (f"have no recorded {noun}", f"has no recorded {noun}"),
        (f"have no {noun} recorded", f"has no {noun} recorded"),
        (f"lack {article(noun)}", f"lacks {article(noun)}"),
      )
      posts = (f"without {article(noun)}", f"with no {noun}", f"with a missing {noun}", f"with no {noun} on record", f"without any {noun}")
    else:
      predicate = self.rng.choice(("is known", "is recorded", "is not missing", "is given", "is not null", "is available"))
      verbs = (
        (f"have {article(noun)}", f"has {article(noun)}"),
        (f"have a known {noun}", f"has a known {noun}"),
        (f"have a recorded {noun}", f"has a recorded {noun}"),
        (f"have {article(noun)} on record", f"has {article(noun)} on record"),
      )
      posts = (f"with {article(noun)}", f"with a known {noun}", f"with a recorded {noun}", f"that have {article(noun)} recorded")
    verbs = (self.rng.choice(verbs),)
    return Clause(noun, predicate, "", verbs, (self.rng.choice(posts),))

  def in_clause(self, ref: Ref, noun: str, values: list[exp.Expression], negated: bool, own: bool) -> Clause:
    words = [self.value(v, ref.column, True) for v in values]
    tags = self.column_name(ref).tags
    if len(words) == 1:
      return self.compare_clause(ref, noun, "!=" if negated else "=", values[0], own)
    if negated:
      listed = self.rng.choice((f"neither {join_words(words, 'nor')}", f"not {join_words(words, 'or')}"))
      if len(words) > 2:
        listed = f"none of {join_words(words)}" if self.maybe(0.3) else f"not {join_words(words, 'or')}"
      clause = Clause(noun, f"is {listed}", f"{article(noun)} that is {listed}")
      if own and tags & {"place"} and "plain" in tags:
        clause.posts = (f"not from {join_words(words, 'or')}",)
        clause.verbs = ((f"are not from {join_words(words, 'or')}", f"is not from {join_words(words, 'or')}"),)
      return clause
    listed = join_words(words, "or")
    either = f"either {listed}" if self.maybe(0.5) else listed
    clause = Clause(noun, f"is {either}", f"{noun} {either}")
    if ref.column.kind == "number":
      clause.having = f"{article(noun)} of {either}"
    if own and self.column_name(ref).event:
      return self.happened(self.column_name(ref), clause, f"{'in' if 'year' in tags else 'on'} {either}")
    if own and "place" in tags and "plain" in tags:
      clause.posts = (f"from {either}", f"in {either}")
      clause.verbs = ((f"are from {either}", f"is from {either}"),)
    elif own and "year" in tags and self.only_of_tag(ref, "year"):
      clause.posts = (f"from {either}", f"in {either}")
    return clause

  def _equal(self, ref: Ref, name: ColumnName, noun: str, positive: bool, node: exp.Expression, own: bool) -> Clause:
    tags, kind = name.tags, ref.column.kind
    value = self.value(node, ref.column, "date" in tags)
    if own and positive and name.event:
      return self.happened(name, Clause(noun, f"is {value}", f"{article(noun)} of {value}"), f"{'in' if 'year' in tags else 'on'} {value}")
    if not positive:
      wording = self.rng.choice((f"is not {value}", f"is not {value}", f"is not equal to {value}" if kind == "number" else f"is different from {value}",
                                 f"is anything other than {value}", f"isn't {value}"))  # fmt: skip
      clause = Clause(noun, wording, f"{article(noun)} other than {value}" if self.maybe(0.5) else f"{article(noun)} different from {value}")
      if own and "place" in tags and "plain" in tags:
        clause.posts = (f"not from {value}", f"outside {value}" if name.short[0].singular != "nationality" else f"not from {value}")
        clause.verbs = ((f"are not from {value}", f"is not from {value}"), (f"do not come from {value}", f"does not come from {value}"))
      elif own and kind == "text" and "plain" in tags:
        clause.verbs = ((f"do not have the {noun} {value}", f"does not have the {noun} {value}"),)
      return clause
    clause = Clause(noun, f"is {value}", f"{noun} {value}")
    if kind == "number":
      clause.having = self.rng.choice((f"{article(noun)} of {value}", f"{noun} {value}", f"{article(noun)} of exactly {value}", f"{article(noun)} equal to {value}"))
      if noun.startswith("number of "):
        clause.having = f"{value} {noun.removeprefix('number of ')}"
    else:
      clause.having = self.rng.choice((f"{noun} {value}", f"the {noun} {value}", f"{noun} {value}", f"{article(noun)} of {value}"))
    if not own:
      return clause
    if name.names_entity or (tags & {"name"} and "plain" in tags):
      clause.posts = (f"named {value}", f"called {value}", f"with the {noun} {value}", f"{noun if self.maybe(0.3) else 'named'} {value}")
      clause.verbs = ((f"are named {value}", f"is named {value}"), (f"are called {value}", f"is called {value}"))
    elif "place" in tags and "plain" in tags:
      if name.short[0].singular == "nationality":
        clause.posts = (f"of nationality {value}", f"with {value} nationality", f"with nationality {value}")
      else:
        clause.posts = (f"from {value}", f"in {value}", f"from {value}", f"located in {value}" if not self.names.table(ref.table).person else f"living in {value}",
                        f"based in {value}")  # fmt: skip
        clause.verbs = ((f"are from {value}", f"is from {value}"), (f"are in {value}", f"is in {value}")) + (
          ((f"live in {value}", f"lives in {value}"),) if self.names.table(ref.table).person else ((f"are located in {value}", f"is located in {value}"),)
        )
    elif "year" in tags and self.only_of_tag(ref, "year"):
      clause.posts = (f"in {value}", f"from {value}", f"of {value}", f"in the year {value}", f"from the year {value}")
      clause.verbs = ((f"are from {value}", f"is from {value}"),)
    elif "date" in tags and self.only_of_tag(ref, "date"):
      clause.posts = (f"on {value}", f"dated {value}")
    elif "age" in tags:
      clause.posts = (f"aged {value}", f"who are {value} years old", f"of age {value}")
      clause.verbs = ((f"are {value} years old", f"is {value} years old"),)
    elif noun in ("price", "cost") and kind == "number":
      clause.posts = (f"costing {value}", f"priced at {value}")
      clause.verbs = ((f"cost {value}", f"costs {value}"),)
    elif "type" in tags and kind != "number":
      text = node.this if isinstance(node, exp.Literal) else value
      last = noun.split()[-1]
      if last in ("gender", "sex") and text.lower() in ("f", "m", "female", "male"):
        word = "female" if text.lower().startswith("f") else "male"
        if self.maybe(0.75):
          clause.adjectives = (word,)
          clause.verbs = ((f"are {word}", f"is {word}"),)
      elif last in ("type", "kind", "category", "class") and "plain" in tags:
        clause.posts = (f"of {last} {value}", f"in the {value} {last}" if last in ("category", "class") else f"of the {last} {value}", f"of the {value} {last}")
      if "plain" in tags and text.replace(" ", "").replace("-", "").isalpha() and len(text.split()) < 3 and len(text) > 2 and self.maybe(0.5):
        clause.adjectives = clause.adjectives or (text,)
    return clause

  def _yes_no(self, name: ColumnName, noun: str, operator: str, node: exp.Expression, own: bool) -> Clause:
    text = str(node.this).lower() if isinstance(node, (exp.Literal, exp.Boolean)) else ""
    if text not in ("1", "0", "true", "false", "yes", "no", "y", "n", "t", "f") or not own:
      value = self.value(node)
      return Clause(noun, f"is {value}" if operator == "=" else f"is not {value}", f"{noun} {value}" if operator == "=" else "")
    positive = (text in ("1", "true", "yes", "y", "t")) == (operator == "=")
    if name.property.startswith(("has ", "can ")):
      verb, _, rest = name.property.partition(" ")
      if verb == "can":
        return Clause("", "", "", ((f"can {rest}", f"can {rest}") if positive else (f"cannot {rest}", f"cannot {rest}"),))
      if positive:
        return Clause("", "", rest, ((f"have {rest}", f"has {rest}"),), (f"with {rest}",))
      return Clause("", "", "", ((f"do not have {rest}", f"does not have {rest}"), (f"have no {rest}", f"has no {rest}")), (f"without {rest}",))
    word = name.property
    if positive:
      return Clause("", "", "", ((f"are {word}", f"is {word}"),), (), (word,) if " " not in word else ())
    return Clause("", "", "", ((f"are not {word}", f"is not {word}"), (f"aren't {word}", f"isn't {word}")), (f"not {word}",) if word.endswith("ed") else ())


def operator_of(node: exp.Expression) -> str | None:
  return _OPERATORS.get(type(node))


def flipped(operator: str) -> str:
  return _FLIPPED[operator]


def negated(operator: str) -> str:
  return _NEGATED[operator]


def is_value(node: exp.Expression) -> bool:
  """Whether a node is a literal, possibly negative, in parentheses or cast."""
  node = bare(node)
  if isinstance(node, (exp.Neg, exp.Cast)):
    return is_value(node.this)
  return isinstance(node, (exp.Literal, exp.Boolean))


def relation_preposition(noun: str, child: str, person: bool) -> tuple[str, ...]:
  """How a child row relates to its parent: "visits of a patient", "books by an author", "concerts in a stadium"."""
  last, thing = noun.split()[-1], child.split(" ")[-1]
  if person and last in wordings.WORKERS and thing in wordings.MEETINGS:
    return ("with", "to", "with", "of")
  if person and (thing in wordings.EVENT_VERBS or thing in wordings.DEEDS):
    return ("by", "of", "by", "of")
  if last in ("stage", "floor", "list", "playlist", "platform", "track"):
    return ("on", "on", "of")
  if last in wordings.MAKERS and (last in wordings.MAKER_VERBS or thing in wordings.WORKS):
    return ("by", "by", "of", "from")
  if last in wordings.PLACES:
    return ("in", "at", "of", "from") if last not in ("city", "country", "state", "region", "county", "district", "town", "list", "playlist", "team", "club") else (
      "in", "of", "from")  # fmt: skip
  if last in wordings.EVENTS:
    return ("in", "at", "of", "for")
  return ("of", "for", "with", "of")
