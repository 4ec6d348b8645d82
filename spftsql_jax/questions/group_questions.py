"""Questions over groups: "the number of doctors in each city"."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns import kinds
from spftsql_jax.columns.splitting import split_name
from spftsql_jax.questions import wordings
from spftsql_jax.questions.groups import Groups
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import (
  Group,
  Message,
  Returned,
  TopWords,
  fold_adjectives,
  join_words,
  pick,
  singular_head,
)
from spftsql_jax.questions.plan import Listing, Rows
from spftsql_jax.questions.plan_listings import plan_columns
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery
from spftsql_jax.questions.syntax import aggregate_in, bare

_SHOW = ("Show", "Give", "List", "Return")
# Not with: "each city with the lowest price" would mean some cities.
_TOGETHER = ("and", "together with", "along with")
_WITH = ("and", "with", "along with", "together with")


class GroupQuestions(Groups):
  """Puts groups and their aggregates into questions."""

  def _grouped(self, query: Query) -> Message:
    if any(isinstance(i, exp.Star) for i in query.items):
      raise UnsupportedQuery("* with GROUP BY")
    group = self._group(query)
    items = [bare(i.unalias()) for i in query.items]
    aggregates = [aggregate_in(i) for i in items]
    for item, aggregated in zip(items, aggregates, strict=True):
      if not aggregated and not self._is_group_column(query, group, item):
        raise UnsupportedQuery(f"{item.sql()} is neither grouped by nor an aggregate")
    if (
      (query.having or query.limit)
      and group.alias is None
      and not any(aggregates)
      and self._by_amount(query)
    ):
      raise UnsupportedQuery("which amounts have so many rows")
    group.clauses = group.clauses + [self._having(query, group, h) for h in query.having]
    top = self._group_top(query, group, query.limit) if query.limit is not None else None
    tail = "" if query.limit is not None else self._group_order(query, group)
    if group.alias is not None:
      return self._per_entity(query, group, items, aggregates, top, tail)
    return self._per_value(query, group, items, aggregates, top, tail)

  def _by_amount(self, query: Query) -> bool:
    """Whether the groups are the values of a number that is neither a key nor a year.

    Nobody asks which prices have 3 books.
    """
    refs = [query.ref(key) for key in query.group if isinstance(key, exp.Column)]
    keys = {
      (ref.table.name, name.lower())
      for ref in refs
      for key in ref.table.foreign_keys
      for name in key.columns
    }
    return any(
      ref.column.kind == "number"
      and not self.column_name(ref).tags & {"year", "date"}
      and (ref.table.name, ref.column.name.lower()) not in keys
      for ref in refs
    )

  def _per_entity(
    self,
    query: Query,
    group: Group,
    items: list[exp.Expr],
    aggregates: list[bool],
    top: TopWords | None,
    tail: str,
  ) -> Message:
    """Groups that are the rows of a table: "the name of each doctor and the number of visits"."""
    if not any(aggregates):
      assert group.alias is not None, "the groups are rows of a table"
      return self.listing_of(
        group.plan,
        Listing(Rows(query, group.alias), plan_columns(query, group.alias), query.distinct),
        group.clauses,
        top,
        tail,
        group.noun,
      )
    plain, conditions = (
      fold_adjectives(group.noun, group.clauses) if top is not None else (group.noun, group.clauses)
    )
    clauses = conditions + (top.clauses if top is not None else [])
    noun = Noun(top.put(plain.singular), top.put(plain.plural)) if top is not None else group.noun
    words, plurals, columns = self._group_items(query, group, items, aggregates)
    listed, listed_plural = join_words(words), join_words(plurals)
    one = self.with_number(noun, clauses, group.person, "singular")
    many = self.with_number(noun, clauses, group.person, "plural")
    rows = self._row_words(group)
    if top is not None and top.limit == 1:
      which = [q[:-1] for q in self.top_questions(top, group.noun, group.person, clauses)]
      sentences = [
        f"{w}? {self.rng.choice(('Show', 'Give', 'Return', 'List', 'Tell me'))} the {listed}."
        for w in which
      ]
      counts = [isinstance(i, exp.Count) and self._counts_rows(query, i) for i in items]
      if (
        len(items) == 2
        and columns[0] is not None
        and columns[0].natural
        and counts[1]
        and not group.row_clauses
      ):
        sentences += [
          f"{w}, and how many?" for w in which if "most" in w or "number" in w or "fewest" in w
        ]
      return Message(f"the {listed} of the {one}", len(items) > 1, sentences=tuple(sentences))
    zero = (
      self.rng.choice(
        (", including those without any", ", including those with none", ", even if there are none")
      )
      if group.optional
      else ""
    )
    if top is not None:
      return Message(
        f"the {listed_plural} of the {many}",
        True,
        sentences=tuple(
          self._with_show(self.top_questions(top, group.noun, group.person, clauses), listed_plural)
        ),
      )
    forms = [
      (f"the {listed} of {self.rng.choice(('each', 'every', 'each'))} {one}", ""),
      (f"the {listed}", f"for {self.rng.choice(('each', 'every', 'each'))} {one}"),
      (f"the {listed}", f"for {self.rng.choice(('each', 'every', 'each'))} {one}"),
    ]
    sentences = []
    natural = [i for i, a in enumerate(aggregates) if not a]
    if len(items) == 2 and columns[0] is not None and columns[0].natural and aggregates[1]:
      forms += [
        (
          (
            f"{self.rng.choice(('each', 'every', 'each'))} {one} {self.rng.choice(_WITH)} the "
            f"{words[1]}"
          ),
          "",
        ),
        (
          (
            f"the {words[1]} {self.rng.choice(('of', 'for', 'of'))} "
            f"{self.rng.choice(('each', 'every', 'each'))} {one}"
          ),
          "",
        ),
        (
          f"the {words[1]} per {group.noun.singular}"
          if not clauses
          else f"the {words[1]} for each {one}",
          "",
        ),
      ]
      if isinstance(items[1], exp.Count) and self._counts_rows(query, items[1]):
        deed = wordings.DEEDS.get(group.row_noun.singular.split()[-1])
        base = deed[2] if deed and group.person and not group.row_clauses else "have"
        verb = f"does {self.rng.choice(('each', 'every', 'each'))} {one} {base}"
        if base != "have":
          verb = f"did {self.rng.choice(('each', 'every', 'each'))} {one} {base}"
        sentences += (
          [f"How many {rows} {verb}{zero}?"] * 3
          if not clauses
          else [f"How many {rows} are there for each {one}{zero}?"]
        )
        happens = self._happens(group)
        if happens and not zero:
          sentences += [
            f"How {self.rng.choice(('many times', 'often'))} was each {one} {happens[2]}?"
          ] * 2
        sentences += [
          f"How many {rows} {verb}{zero}? {self.rng.choice(_SHOW)} the {group.noun.singular} "
          f"{columns[0].noun.singular} and "
          f"the {self.rng.choice(('count', 'number'))}."
        ]
        if not group.row_clauses:
          sentences += [
            (
              f"How many {rows} are there {self.rng.choice(('for each', 'per', 'for every'))} "
              f"{one}{zero}?"
            )
          ]
      elif isinstance(items[1], (exp.Sum, exp.Avg, exp.Max, exp.Min)):
        sentences += [f"What is the {words[1]} {self.rng.choice(('of', 'for'))} each {one}?"]
    elif natural and aggregates[-1] and len(natural) == len(items) - 1 and len(natural) > 1:
      listed = join_words([plurals[i] for i in natural])
      forms += [
        (
          f"the {listed} of {self.rng.choice(('', 'all ', 'the '))}{many}, "
          f"{self.rng.choice(('along with', 'together with'))} "
          f"the {words[-1]} {self.rng.choice(('for each', 'of each'))}",
          "",
        )
      ]
    if group.row_clauses:
      # What is said of the rows would part the group from what it has: said first.
      forms = [form for form in forms if form[1]]
    content, lead = self.rng.choice(forms)
    if sentences and tail:
      sentences = [f"{s[:-1]}, {tail}{s[-1]}" for s in sentences]
    message = Message(
      f"{content}{zero}" if not lead else content,
      len(items) > 1 and not content.startswith(f"the {words[1]} "),
      lead,
      True,
      f"{zero.lstrip(', ')} {tail}".strip() if lead and zero else tail,
      tuple(sentences),
      0.45,
      "none" if content.startswith(("each ", "every ")) else "",
    )
    if lead and (zero or group.row_clauses):
      message.after = False
    return message

  def _with_show(self, questions: list[str], listed: str) -> list[str]:
    return [
      f"{q} {self.rng.choice(('Show', 'Give', 'Return', 'List'))} the {listed}." for q in questions
    ]

  def _group_items(
    self, query: Query, group: Group, items: list[exp.Expr], aggregates: list[bool]
  ) -> tuple[list[str], list[str], list[Returned | None]]:
    """The words of the returned columns, singular and plural."""
    words: list[str] = []
    plurals: list[str] = []
    columns: list[Returned | None] = []
    described = False
    for item, aggregated in zip(items, aggregates, strict=True):
      if aggregated:
        noun = self._group_aggregate(query, group, item, group.alias is not None and not described)
        described = True
        columns.append(None)
        words.append(noun.singular)
        plurals.append(noun.singular)
        continue
      if group.alias is None:
        noun = self._one_key(query, item, group.rows)
        columns.append(None)
      else:
        ref = query.ref(item)
        own = self.belongs(query, ref.alias, group.alias)
        key = any(
          e.child == ref.alias and e.parent == group.alias and ref.column.name in e.columns
          for e in query.edges
        )
        noun = (
          Noun("id", "ids")
          if key and self.maybe(0.5) and kinds.identifies(split_name(ref.column.name))
          else self.short(ref)
          if own
          else self.qualified(query, ref)
        )
        columns.append(Returned(noun, own, own and self.column_name(ref).names_entity, ref))
      if noun.singular in words:
        noun = self.qualified(query, query.ref(item)) if isinstance(item, exp.Column) else noun
      words.append(noun.singular)
      plurals.append(noun.plural)
    if len(set(words)) < len(words):
      raise UnsupportedQuery("two columns of the same name")
    # "the name and the number of visits" is easier to follow than "the name and number of visits".
    words = [
      w if i == 0 or not a or self.maybe(0.25) else f"the {w}"
      for i, (w, a) in enumerate(zip(words, aggregates, strict=True))
    ]
    return words, plurals, columns

  def _per_value(
    self,
    query: Query,
    group: Group,
    items: list[exp.Expr],
    aggregates: list[bool],
    top: TopWords | None,
    tail: str,
  ) -> Message:
    """Groups that are values of columns: "the number of doctors in each city"."""
    keys = [i for i, a in zip(items, aggregates, strict=True) if not a]
    whole = len({k.sql() for k in keys}) == len({g.sql() for g in query.group})
    rows = self._row_words(group)
    if not any(aggregates):
      return self._values_only(query, group, items, whole, top, tail, rows)
    words, _, _ = self._group_items(query, group, items, aggregates)
    listed = join_words(words)
    clauses = group.clauses + (top.clauses if top is not None else [])
    aggregate_words = [w.removeprefix("the ") for w, a in zip(words, aggregates, strict=True) if a]
    counts = [isinstance(i, exp.Count) and self._counts_rows(query, i) for i in items]
    if top is not None:
      noun = Noun(top.put(group.noun.singular), top.put(group.noun.plural))
      described = self.with_number(noun, clauses, False, "singular" if top.limit == 1 else "plural")
      extra = join_words([f"the {w}" for w in aggregate_words])
      among = "" if self._says(described, rows) or group.said else f" among {rows}"
      sentences = []
      if top.limit == 1:
        for question in self.top_questions(top, group.noun, False, clauses):
          sentences.append(
            f"{question} {self.rng.choice(('Show', 'Give', 'Return', 'List'))} the {listed}{among}."
          )
          if counts[-1] and not aggregates[0] and self.maybe(0.6):
            sentences.append(
              f"{question[:-1]}, and how many {self.rng.choice(('are there', 'does it have'))}?"
            )
        return Message(
          f"the {described}{among} and {extra}"
          if not aggregates[0]
          else f"the {listed} of the {described}{among}",
          False,
          sentences=tuple(sentences),
        )
      return Message(f"the {described}{among} and {extra}", True)
    each = self.with_number(group.noun, clauses, False, "singular")
    each_word = self.rng.choice(
      (
        "each",
        "every",
        "each",
        "each",
        "each" if clauses or len(query.group) > 1 else "each different",
      )
    )
    place = self._place_word(group)
    if group.noun.singular.startswith("label") or len(group.noun.singular.split()) > 8:
      return Message(
        f"the {join_words(aggregate_words)} of {rows}"
        if not all(counts[i] for i, a in enumerate(aggregates) if a)
        else f"the number of {rows}",
        False,
        f"for each {each}",
        True,
        tail,
      )
    counted = [
      c or (a and _counts_condition(i)) for i, c, a in zip(items, counts, aggregates, strict=True)
    ]  # What is counted says of which rows itself.
    of_rows = (
      ""
      if all(c for c, a in zip(counted, aggregates, strict=True) if a) and not group.row_clauses
      else f" of {rows}"
    )
    forms: list[tuple[str, str]] = []
    sentences = []
    simple_order = whole and not any(aggregates[: len(keys)])
    if sum(aggregates) == 1 and counts[aggregates.index(True)]:
      if simple_order:
        holders = wordings.PLACES | wordings.MAKERS | wordings.HOLDERS
        held = group.noun.singular.split()[-1] in holders and not group.row_clauses
        forms += [
          (f"the number of {rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (f"the number of {rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (
            (
              f"the number of {rows} "
              f"{pick(self.rng, wordings.EACH) if not clauses else 'for each'} {each}"
            ),
            "",
          ),
          (
            f"{self.rng.choice(('each', 'every'))} {each} and the number of {rows}"
            f"{self.rng.choice((' in it', ' it has', '')) if held else ''}",
            "",
          ),
          (f"the number of {rows}", f"for {each_word} {each}"),
          (
            (f"the number of {rows}{self.rng.choice(wordings.GROUPED_BY)} {each}")
            if not clauses
            else f"the number of {rows} for each {each}",
            "",
          ),
        ]
        have = f"does {each_word} {each} have" if held else f"are there {place} {each_word} {each}"
        sentences += [
          f"How many {rows} are there {self.rng.choice((place, 'for', place))} {each_word} {each}?",
          f"How many {rows} are there {self.rng.choice((place, 'for'))} {each_word} {each}?",
          f"How many {rows} {have}?",
          f"How many {rows} are there per {each}?"
          if not clauses
          else f"How many {rows} are there for each {each}?",
          (
            f"Count the {rows} "
            f"{self.rng.choice(('in', 'for', 'per', 'by')) if not clauses else 'for each'} {each}."
          )
          if clauses or self.maybe(0.5)
          else f"Count the {rows} for each {each}.",
        ]
        sentences = [
          s.replace(f"Count the {rows} in {each}", f"Count the {rows} in each {each}").replace(
            f"Count the {rows} for {each}", f"Count the {rows} for each {each}"
          )
          for s in sentences
        ]
      else:
        forms += [
          (f"the {self._row_listed(words, counts, rows)}", f"for {each_word} {each}"),
          (f"the {self._row_listed(words, counts, rows)} {place} {each_word} {each}", ""),
        ]
    else:
      described = self._row_listed(words, counts, rows)
      only = self._row_listed(
        [w for w, a in zip(words, aggregates, strict=True) if a],
        [c for c, a in zip(counts, aggregates, strict=True) if a],
        rows,
      )
      if simple_order:
        forms += [
          (f"the {only}{of_rows}", f"for {each_word} {each}"),
          (f"the {only}{of_rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (
            f"the {only}{of_rows} "
            f"{'for each' if clauses else self.rng.choice(('per', 'by', 'by', 'for each'))} {each}",
            "",
          ),
          (
            (
              f"{self.rng.choice(('each', 'every'))} {each} {self.rng.choice(_TOGETHER)} the "
              f"{only}{of_rows}"
            ),
            "",
          ),
          (f"the {only}{of_rows}{', grouped by' if not clauses else ' for each'} {each}", ""),
        ]
        if sum(aggregates) == 1:
          sentences += [
            f"What is the {only}{of_rows} {self.rng.choice((place, 'for', 'of'))} each {each}?"
          ]
      else:
        forms += [(f"the {described}{of_rows}", f"for {each_word} {each}")]
    if not keys or not whole:
      forms = [
        (
          f"the {self._row_listed(words, counts, rows)}{of_rows if not any(counts) else ''}",
          f"for {each_word} {each}",
        )
      ]
      sentences = []
    content, lead = self.rng.choice(forms)
    if tail:
      sentences = [f"{s[:-1]}, {tail}{s[-1]}" for s in sentences]
    bare = "none" if content.startswith(("each ", "every ")) else ""
    return Message(
      content,
      sum(aggregates) > 1 or "and the" in content,
      lead,
      True,
      tail,
      tuple(sentences),
      0.4,
      bare,
    )

  def _row_listed(self, words: list[str], counts: list[bool], rows: str) -> str:
    """The columns, with the counted rows described where they are counted."""
    said = [
      f"{'the ' if i and w.startswith('the ') else ''}number of {rows}" if c else w
      for i, (w, c) in enumerate(zip(words, counts, strict=True))
    ]
    return join_words(said).removeprefix("the ")

  def _values_only(
    self,
    query: Query,
    group: Group,
    items: list[exp.Expr],
    whole: bool,
    top: TopWords | None,
    tail: str,
    rows: str,
  ) -> Message:
    """Only the grouped columns are returned."""
    if not whole:
      raise UnsupportedQuery("part of the grouped columns alone")
    nouns = [self._one_key(query, i, group.rows) for i in items]
    noun = Noun(join_words([n.singular for n in nouns]), join_words([n.plural for n in nouns]))
    clauses = list(group.clauses)
    if top is not None:
      said = Noun(top.put(noun.singular), top.put(noun.plural))
      single = top.limit == 1
      described = self.with_number(
        said, clauses + top.clauses, False, "singular" if single else "plural"
      )
      among = (
        ""
        if self._says(described, rows) or group.said
        else f" {self.rng.choice(('of', 'among', 'for'))} {rows}"
      )
      sentences = [
        f"{q[:-1]}{'' if self._says(q, rows) else among}?"
        for q in self.top_questions(top, noun, False, clauses + top.clauses)
      ]
      if top.adjective:
        which = f"{noun.singular} is" if single else f"{noun.plural} are"
        sentences = [f"Which {which} the {top.put('').strip()}{among or f' among {rows}'}?"]
      return Message(f"the {described}{among}", not single, sentences=tuple(sentences))
    if not clauses:
      different = self.distinct_word()
      return Message(f"the {different} {noun.plural} of {rows}", True, tail=tail)
    described = self.with_number(noun, clauses, False, "plural")
    among = "" if self._says(described, rows) or group.said else f" of {rows}"
    sentences = []
    if all(c.verbs or c.having for c in clauses):
      said_verbs = join_words([self.verb(c, True) for c in clauses])
      suffix = "" if self._says(said_verbs, rows) else among
      sentences = [
        f"Which {noun.plural} {said_verbs}{suffix}?",
        f"What {noun.plural} {said_verbs}{suffix}?",
      ]
    if tail:
      sentences = [f"{s[:-1]}, {tail}?" for s in sentences]
    return Message(
      f"{self.rng.choice(('the ', 'the ', 'all '))}{described}{among}",
      True,
      tail=tail,
      sentences=tuple(sentences),
    )

  def _says(self, text: str, rows: str) -> bool:
    """Whether a text names the rows already.

    "Cities that have more than one doctor" needs no "of doctors".
    """
    return rows in text or singular_head(rows) in text

  def _place_word(self, group: Group) -> str:
    """ "in each city", "for each type"."""
    last = group.noun.singular.split()[-1]
    if last in wordings.PLACES or last in (
      "year",
      "month",
      "category",
      "class",
      "group",
      "genre",
      "department",
    ):
      return "in"
    return (
      self.rng.choice(("for", "with", "for"))
      if last in ("type", "status", "kind", "gender", "sex", "age", "color", "grade")
      else "for"
    )


def _counts_condition(item: exp.Expr) -> bool:
  """Whether an aggregate counts the rows that satisfy a condition: SUM(CASE ...)."""
  return isinstance(item, exp.Sum) and isinstance(bare(item.this), exp.Case)
