"""What a whole query asks for, as the content of a sentence: a list of attributes, a count, groups, a superlative, a set operation."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.synthesis import wordings
from spftsql_jax.synthesis.descriptions import Descriptions, Plan, aggregate_of, date_part, fold_adjectives, is_link, is_pure_link
from spftsql_jax.synthesis.naming import Noun, plural_of
from spftsql_jax.synthesis.phrases import Clause, article, is_value, join_words, operator_of
from spftsql_jax.synthesis.query_meaning import Query, Ref, SetQuery, UnsupportedQuery, bare, own_columns, read_nested


@dataclasses.dataclass
class Message:
  """The content of a question, before it is put into a sentence.

  Attributes:
    content: a definite noun phrase ("the names of the doctors from Boston").
    plural: whether it takes are.
    lead: said first or last ("for each city"); `after` allows the latter.
    tail: said last ("sorted by name").
    sentences: complete questions that say the same ("Which doctors are from Boston?").
    sentence_rate: how often to use one of them.
    bare: "who" or "what" where the content names the rows themselves ("the doctors from Boston"), else "".
  """

  content: str
  plural: bool = True
  lead: str = ""
  after: bool = True
  tail: str = ""
  sentences: tuple[str, ...] = ()
  sentence_rate: float = 0.4
  bare: str = ""


class Messages(Descriptions):
  """Words whole queries."""

  def message(self, query: Query | SetQuery) -> Message:
    """What a query asks for. Raises UnsupportedQuery."""
    if isinstance(query, SetQuery):
      return self._combined(query)
    if query.derived is not None:
      return self._derived(query)
    aggregates = [aggregate_in(i) for i in query.items]
    if query.group:
      return self._grouped(query)
    if any(aggregates):
      if not all(aggregates) or query.having:
        raise UnsupportedQuery("a column beside an aggregate without GROUP BY")
      if query.order or query.limit is not None:
        query = dataclasses.replace(query, order=[], limit=None)
      return self._aggregated(query)
    if query.having:
      raise UnsupportedQuery("HAVING without GROUP BY")
    return self._listing(query)

  def content(self, query: Query | SetQuery) -> str:
    """What a nested query returns, as one definite noun phrase."""
    message = self.message(query)
    if message.tail:
      raise UnsupportedQuery("an order inside a nested query")
    return f"{message.content} {message.lead}".strip().rstrip(",")

  # --------------------------------------------------------------------------------------------------------- listings

  def _listing(self, query: Query) -> Message:
    """Columns of rows, without aggregates."""
    head = self._head(query)
    refs = [query.ref(c) for i in query.items for c in own_columns(i)]
    order_refs = [query.ref(c) for e, _ in query.order for c in own_columns(e)]
    if any(isinstance(i, exp.Star) for i in query.items):
      head = query.finest() or head
    spoken = {r.alias for r in refs + order_refs if not r.outer}
    plan = self.plan(query, head, spoken)
    before, self.existential = self.existential, query.distinct
    clauses = self.clauses(query, plan, head, None)
    self.existential = before
    one = self._is_single(query, plan, head)
    superlative = None
    if query.limit is not None:
      superlative = self._superlative(query, plan, head, query.limit)
    return self._attributes(query, plan, head, clauses, one, superlative, "" if query.limit is not None else self._ordering(query, head))

  def _head(self, query: Query) -> str:
    """The alias that the question is about."""
    finest = query.finest()
    aliases = [a for i in query.items for a in self._aliases(query, i)]
    if not aliases:
      return finest or next(iter(query.sources))
    if len(set(aliases)) > 1 and finest in aliases:
      return finest
    first = aliases[0]
    for edge in query.edges:
      if edge.same and edge.parent == first and len(set(aliases)) >= 1:
        return edge.child
    return first

  def _aliases(self, query: Query, item: exp.Expression) -> list[str]:
    return [r.alias for c in own_columns(item) if not (r := query.ref(c)).outer]

  def _is_single(self, query: Query, plan: Plan, head: str) -> bool:
    """Whether the conditions pick one row by its name or key."""
    for condition in plan.own.get(head, []):
      if isinstance(condition, exp.EQ) and isinstance(condition.this, exp.Column) and is_value(condition.expression):
        ref = query.ref(condition.this)
        if self.column_name(ref).names_entity or (ref.column.name,) == tuple(ref.table.primary_key):
          return True
    return False

  def _attributes(self, query: Query, plan: Plan, head: str, clauses: list[Clause], one: bool, superlative: _Top | None, tail: str,
                  noun: Noun | None = None) -> Message:  # fmt: skip
    """ "the names and ages of ...": the columns returned, and the rows that they are of."""
    noun = noun or self.noun(query, head)
    person = self.person(query, head)
    single = one or (superlative is not None and superlative.limit == 1)
    if superlative is not None:
      folded, clauses = fold_adjectives(noun, clauses)
      noun = folded
      clauses = clauses + superlative.clauses
      entity_noun = Noun(superlative.put(folded.singular), superlative.put(folded.plural))
    else:
      entity_noun = noun
    entity = self.with_number(entity_noun, clauses, person, "singular" if single else "plural")
    if single and not (one and superlative is None and self.maybe(0.0)):
      entity = f"the {entity}"
    elif superlative is not None or self.maybe(0.3):
      entity = f"the {entity}"
    elif self.maybe(0.25):
      entity = f"all {entity}" if not entity.startswith(("the ", "all ")) and self.maybe(0.6) else f"all the {entity}"
    each = self.with_number(entity_noun, clauses, person, "singular") if not single and superlative is None else ""
    if any(isinstance(i, exp.Star) for i in query.items):
      return self._everything(query, entity, noun, tail)
    columns = self._columns(query, head, clauses, plan)
    distinct = query.distinct or (bool(query.group) and not self._keyed(query, head))
    return self._attribute_message(query, columns, entity, each, noun, person, clauses, distinct, single, superlative, tail)

  def _keyed(self, query: Query, head: str) -> bool:
    return True

  def _columns(self, query: Query, head: str, clauses: list[Clause], plan: Plan) -> list[_Column]:
    columns: list[_Column] = []
    seen: set[str] = set()
    for item in query.items:
      node = bare(item.unalias())
      if isinstance(node, exp.Column):
        ref = query.ref(node)
        own = self.belongs(query, ref.alias, head)
        name = self.column_name(ref)
        word = self.short(ref) if own else self.qualified(query, ref)
        if word.singular in seen:
          word = self.qualified(query, ref)
        if word.singular in seen:
          raise UnsupportedQuery(f"two columns called {word.singular}")
        seen.add(word.singular)
        through = "" if own else self.through(query, head, ref.alias)
        columns.append(_Column(word, own, own and name.names_entity, ref, through=through))
      elif is_value(node):
        raise UnsupportedQuery("a constant among the columns")
      else:
        word = self.item_noun(query, node, head)
        columns.append(_Column(word, True, False, None, len(word.singular.split()) > 5))
    return columns

  def item_noun(self, query: Query, node: exp.Expression, head: str) -> Noun:
    """The noun of a computed column: window functions and CASE beside what `expression` knows."""
    if isinstance(node, exp.Window):
      return self._window(query, node, head)
    if isinstance(node, exp.Case):
      return self._case(query, node, head)
    return self.expression(query, node, head)

  def _window(self, query: Query, node: exp.Window, head: str) -> Noun:
    order, partition = node.args.get("order"), node.args.get("partition_by") or []
    if isinstance(node.this, (exp.Rank, exp.RowNumber, exp.DenseRank)):
      if order is None or len(order.expressions) != 1:
        raise UnsupportedQuery("a rank without one order")
      by, descending = order.expressions[0].this, bool(order.expressions[0].args.get("desc"))
      noun = self.expression(query, by, head).singular
      direction = self.rng.choice(("from highest to lowest", "with the highest first", "in descending order")) if descending else self.rng.choice(
        ("from lowest to highest", "with the lowest first", "in ascending order"))  # fmt: skip
      what = {"Rank": "rank", "RowNumber": "position", "DenseRank": "dense rank"}[type(node.this).__name__]
      text = self.rng.choice((f"{what} by {noun} {direction}", f"{what} by {noun}, {direction}", f"{what} when ordered by {noun} {direction}"))
    elif aggregate_of(node.this) is not None and not isinstance(node.this.this, exp.Star) and order is None:
      text = self.expression(query, node.this, head).singular
    else:
      raise UnsupportedQuery(f"the window function {type(node.this).__name__}")
    if partition:
      within = join_words([self.expression(query, p, head).singular for p in partition])
      text = self.rng.choice((f"{text} within each {within}", f"{text} inside every {within}", f"{text}, separately for each {within}"))
    return Noun(text, text)

  def _case(self, query: Query, node: exp.Case, head: str) -> Noun:
    if node.this is not None:
      raise UnsupportedQuery("CASE with an operand")
    parts = []
    for branch in node.args["ifs"]:
      clause = self.condition(query, branch.this, head)
      if not is_value(branch.args["true"]) or not (clause.noun or clause.sentence or clause.verbs):
        raise UnsupportedQuery("CASE with computed results")
      when = clause.sentence or (f"the {clause.noun} {clause.predicate}" if clause.noun else f"it {self.verb(clause, False)}")
      parts.append(f"'{bare(branch.args['true']).this}' {self.rng.choice(('if', 'when', 'where'))} {when}")
    default = node.args.get("default")
    if default is not None:
      if not is_value(default):
        raise UnsupportedQuery("CASE with computed results")
      parts.append(f"'{bare(default).this}' {self.rng.choice(('otherwise', 'if not', 'in all other cases'))}")
    word = self.rng.choice(("label", "category", "class", "flag"))
    text = f"{word} {self.rng.choice(('that is', 'which is', 'saying'))} {join_words(parts, 'and')}"
    return Noun(text, text)

  def _attribute_message(self, query: Query, columns: list[_Column], entity: str, each: str, noun: Noun, person: bool, clauses: list[Clause],
                         distinct: bool, single: bool, superlative: _Top | None, tail: str) -> Message:  # fmt: skip
    own = [c for c in columns if c.own]
    natural = len(columns) == 1 and columns[0].natural
    different = f"{self.rng.choice(wordings.DISTINCT_WORDS)} " if distinct else ""
    if any(c.through for c in columns) and columns[0].own:
      return self._with_related(columns, entity, each, single, distinct, tail)
    long = any(c.long for c in columns)
    plural_words = join_words([c.noun.plural for c in columns])
    singular_words = join_words([c.noun.singular for c in columns])
    if len(columns) == 2 and not long and self.maybe(0.15):
      plural_words = f"{columns[0].noun.plural} {self.rng.choice(('as well as', 'together with the', 'along with the'))} {columns[1].noun.plural}"
    if [c.noun.singular for c in columns] == ["first name", "last name"] and self.maybe(0.6):
      singular_words, plural_words = self.rng.choice((("first and last name", "first and last names"), ("full name", "full names")))
    sentences: list[str] = []
    if long:
      if single:
        return Message(f"the {singular_words} of {entity}", False, tail=tail)
      message = Message(f"the {different}{singular_words}", True, f"for each {each}", False, tail)
      return message
    if single:
      content = f"the {singular_words} of {entity}"
      if natural:
        options = [content, entity] if superlative is not None else [content]
        content = self.rng.choice(options)
      plural = len(columns) > 1
      if superlative is not None:
        sentences += superlative.questions(noun, natural, person, clauses, self)
        if not natural and len(own) == len(columns):
          sentences += [f"What {'are' if plural else 'is'} the {singular_words} of {entity}?", f"Find {entity} and {self.rng.choice(('give', 'show', 'return'))} {('her or his' if False else 'the')} {singular_words}."]
      elif len(columns) == 1 and columns[0].ref is not None:
        sentences += self._single_questions(query, columns[0], entity, person)
      return Message(content, plural, tail=tail, sentences=tuple(sentences))
    forms = [f"the {different}{plural_words} of {entity}", f"the {different}{plural_words} of {entity}", f"the {different}{plural_words} for {entity}"]
    if not distinct and superlative is None:
      forms += [f"the {singular_words} of {self.rng.choice(('each', 'every', 'each'))} {each}", f"the {singular_words} for {self.rng.choice(('each', 'every'))} {each}"]
    if natural:
      plain = f"{different}{entity.removeprefix('the ').removeprefix('all ').removeprefix('the ')}" if distinct else entity
      if not distinct:
        forms += [plain, plain, plain]
        if not clauses and superlative is None:
          forms += [f"{noun.singular} names"] * 2 if columns[0].noun.singular == "name" else []
      if superlative is not None:
        sentences += superlative.questions(noun, natural, person, clauses, self)
      elif not distinct:
        sentences += self._which(noun, person, clauses)
    elif columns[0].natural and len(columns) > 1 and len(own) == len(columns) and not distinct:
      rest = join_words([c.noun.plural for c in columns[1:]])
      forms += [f"{entity} {self.rng.choice(('and their', 'with their', 'along with their', 'together with their'))} {rest}"]
      if superlative is None and clauses:
        sentences += [f"{q} {self.rng.choice(('Show', 'Give', 'List', 'Return', 'Include'))} their {plural_words}." for q in self._which(noun, person, clauses)]
        sentences += [f"For {self.rng.choice(('each', 'every'))} {each}, {self.rng.choice(('show', 'give', 'list', 'return', 'what is'))} the {singular_words}."]
    if superlative is not None and not natural and len(columns) == 1 and self.maybe(0.2):
      sentences += [f"What are the {different}{plural_words} of {entity}?"]
    if natural and not distinct and superlative is None and not clauses and not tail:
      sentences += [f"What {noun.plural} are there?", f"Which {noun.plural} do we have?", f"What are the {noun.singular} {columns[0].noun.plural}?"]
    content = self.rng.choice(forms)
    singular = f" {each}" in content and len(columns) == 1 and content.startswith("the ")
    bare = "" if content.startswith(("the " + plural_words, "the " + singular_words, "the " + different)) or not natural else "who" if person else "what"
    if bare and not clauses and superlative is None:
      bare = "none"
    return Message(content, not singular, bare=bare, tail=tail, sentences=tuple(f"{s[:-1]}{',' if self.maybe(0.3) else ''} {tail.lstrip(', ')}{s[-1]}" if tail else s for s in sentences))

  def _with_related(self, columns: list[_Column], entity: str, each: str, single: bool, distinct: bool, tail: str) -> Message:
    """Columns of the head, then columns of rows that belong to it: "the names of bands and the stage names of their performances"."""
    different = f"{self.rng.choice(wordings.DISTINCT_WORDS)} " if distinct else ""
    first = [c for c in columns if not c.through]
    rest = [c for c in columns if c.through]
    if columns != first + rest or len({c.through for c in rest}) > 1:
      raise UnsupportedQuery("columns of related rows before those of the rows themselves")
    related = f"the {join_words([c.noun.plural for c in rest])} {rest[0].through}"
    words = join_words([c.noun.singular if single else c.noun.plural for c in first])
    link = self.rng.choice(("and", "along with", "together with", "and"))
    if not single and not distinct and self.maybe(0.35):
      return Message(f"the {join_words([c.noun.singular for c in first])} and {related}", True, f"for each {each}", False, tail)
    return Message(f"the {different}{'combinations of the ' if distinct else ''}{words} of {entity} {link} {related}", True, tail=tail)

  def _which(self, noun: Noun, person: bool, clauses: list[Clause]) -> list[str]:
    """ "Which doctors are from Boston?" """
    if not clauses or not all(c.verbs or c.having for c in clauses):
      described = self.modified(noun.plural, clauses, person, True)
      return [f"Who are the {described}?", f"Who are all the {described}?"] if person and clauses else []
    said = join_words([self.verb(c, True) for c in clauses])
    sentences = [f"Which {noun.plural} {said}?", f"What {noun.plural} {said}?", f"Which {noun.plural} {said}?"]
    if person:
      sentences += [f"Who are the {self.modified(noun.plural, clauses, person, True)}?"]
    return sentences

  def _single_questions(self, query: Query, column: _Column, entity: str, person: bool) -> list[str]:
    """ "How old is the patient Ann?", "When ...?" are left to columns whose tags tell."""
    tags = self.column_name(column.ref).tags
    word = column.noun.singular
    sentences = [f"What is the {word} of {entity}?", f"What's the {word} of {entity}?", f"What {word} does {entity} have?"]
    if column.own and "plain" in tags:
      if "age" in tags:
        sentences += [f"How old is {entity}?"] * 2
      elif "price" in tags and word in ("price", "cost"):
        sentences += [f"How much does {entity} cost?"] * 2
      elif "pay" in tags:
        sentences += [f"How much does {entity} earn?"] * 2
      elif "height" in tags and person:
        sentences += [f"How tall is {entity}?"] * 2
      elif "place" in tags and word in ("city", "country", "state", "town"):
        sentences += [f"Which {word} is {entity} {'from' if person else 'in'}?", f"In which {word} is {entity}?" if not person else f"What {word} is {entity} from?"]
      elif "duration" in tags:
        sentences += [f"How long is {entity}?"]
    return sentences

  def _everything(self, query: Query, entity: str, noun: Noun, tail: str) -> Message:
    if len(query.sources) > 1 or len(query.items) > 1:
      if len(query.items) > 1:
        raise UnsupportedQuery("* beside other columns")
      raise UnsupportedQuery("* over a join")
    what = self.rng.choice(("all information about", "everything about", "all details of", "all columns of", "all the information on", "the complete records of", "full details of", "all the data on"))
    if query.distinct:
      what = "the distinct complete records of"
    return Message(f"{what} {entity.removeprefix('all ')}", False, tail=tail)

  # ------------------------------------------------------------------------------------------------------ superlatives

  def _superlative(self, query: Query, plan: Plan, head: str, limit: int) -> _Top:
    """ORDER BY ... LIMIT: "the oldest doctor", "the 3 doctors with the highest salary"."""
    number = "" if limit == 1 else self.small(limit)
    if not query.order:
      return _Top(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    expression, descending = query.order[0]
    ties = self._ties(query, head)
    expression = bare(expression)
    if isinstance(expression, exp.Column):
      ref = query.ref(expression)
      if ref.outer:
        raise UnsupportedQuery("an order by the enclosing query")
      return self._top_by_column(query, plan, head, ref, descending, limit, number, ties)
    noun = self.expression(query, expression, head).singular
    extreme = self.superlative(frozenset(), descending)
    return _Top(limit, number, "", [Clause("", "", f"the {extreme} {noun}{ties}")], f"has the {extreme} {noun}")

  def _ties(self, query: Query, head: str) -> str:
    if len(query.order) < 2:
      return ""
    words = []
    for expression, descending in query.order[1:]:
      noun = "number of rows" if isinstance(expression, exp.Count) else self.expression(query, expression, head).singular
      words.append(f"{noun}{' in descending order' if descending else ''}")
    return f" ({self.rng.choice(('ties broken by', 'breaking ties by', 'in case of a tie by'))} {join_words(words, 'then')})"

  def _top_by_column(self, query: Query, plan: Plan, head: str, ref: Ref, descending: bool, limit: int, number: str, ties: str) -> _Top:
    own = self.belongs(query, ref.alias, head)
    name = self.column_name(ref)
    finer = not own and any(e.child == ref.alias and e.parent == head for e in query.edges)
    noun = (self.short(ref) if own or finer else self.qualified(query, ref)).singular
    tags = name.tags
    extreme = self.superlative(tags, descending)
    if ref.column.kind == "text" and not tags & {"date", "year"}:
      extreme = "last" if descending else "first"
      noun = f"{noun} {self.rng.choice(('alphabetically', 'in alphabetical order'))}"
    if noun.startswith("number of ") and self.maybe(0.6):
      phrase = f"the {'most' if descending else 'fewest'} {noun.removeprefix('number of ')}"
    else:
      phrase = f"the {extreme} {noun}"
    if finer:
      other = self.noun(query, ref.alias)
      thing = self._thing_superlative(tags, descending, self.person(query, ref.alias))
      if thing and self.maybe(0.3):
        said = f"the {thing} {other.singular}" if limit == 1 else f"the {number} {thing} {other.plural}"
      elif limit == 1:
        said = f"the {other.singular} with {phrase}"
      else:
        said = f"the {number} {other.plural} with {phrase}"
      verbs = ((f"have {said}{ties}", f"has {said}{ties}"),)
      return _Top(limit, "", "", [Clause("", "", "", verbs, (f"with {said}{ties}", f"of {said}{ties}"))], f"has {said}{ties}")
    thing = self._thing_superlative(tags, descending, self.person(query, head)) if own and ("plain" in tags or "birth" in tags) else None
    if thing is not None and self.maybe(0.4) and not ties:
      # "The oldest doctor": for dates only where the table has one date, else it is not clear which is meant.
      return _Top(limit, number, thing, [], f"is the {thing}")
    if limit > 1 and not ties and self.maybe(0.35) and "date" not in tags and "year" not in tags and ref.column.kind != "text":
      word = "top" if descending else "bottom"
      return _Top(limit, f"{word} {number}", "", [Clause("", "", "", ((f"rank {word} by {noun}", f"ranks {word} by {noun}"),), (f"by {noun}", f"in terms of {noun}"))], "")
    verbs = ((f"have {phrase}{ties}", f"has {phrase}{ties}"),)
    posts = (f"with {phrase}{ties}", f"having {phrase}{ties}", f"with {phrase}{ties}")
    if limit > 1:
      return _Top(limit, number, "", [Clause("", "", "", verbs, posts)], f"have {phrase}{ties}")
    clause = Clause("", "", "", verbs, posts)
    return _Top(limit, "", "", [clause], f"has {phrase}{ties}")

  def _thing_superlative(self, tags: frozenset[str], descending: bool, person: bool) -> str | None:
    order = ("birth", "age", "price", "pay", "height", "weight", "duration", "speed", "rating") + (() if person else ("date", "year"))
    for tag in order:
      if tag in tags:
        high, low = wordings.THING_SUPERLATIVES[tag]
        return high if descending else low
    return None

  def _ordering(self, query: Query, head: str) -> str:
    """ORDER BY without LIMIT."""
    if not query.order:
      return ""
    words = []
    several = len(query.order) > 1
    for expression, descending in query.order:
      expression = bare(expression)
      ref = query.ref(expression) if isinstance(expression, exp.Column) else None
      noun = self.order_noun(query, expression, head)
      words.append(self._one_order(noun, ref, descending, several))
    if not several:
      return words[0]
    text = ", then by ".join(w for w in words)
    return f"{self.rng.choice(('sorted by', 'ordered by', 'sorted first by', 'arranged by'))} {text}"

  def order_noun(self, query: Query, expression: exp.Expression, head: str) -> str:
    return self.expression(query, expression, head).singular

  def _one_order(self, noun: str, ref: Ref | None, descending: bool, bare: bool) -> str:
    kind = ref.column.kind if ref is not None else "number"
    tags = self.column_name(ref).tags if ref is not None else frozenset()
    if tags & {"date", "year"}:
      directions = wordings.DESCENDING_DATE if descending else wordings.ASCENDING_DATE
    elif kind in ("text", "other"):
      directions = wordings.DESCENDING_TEXT if descending else wordings.ASCENDING_TEXT
    else:
      directions = wordings.DESCENDING if descending else wordings.ASCENDING
    direction = self.rng.choice(directions)
    if bare:
      return f"{noun} {'in descending order' if descending else self.rng.choice(('', 'in ascending order'))}".strip()
    verb = self.rng.choice(wordings.SORTED)
    if not descending and self.maybe(0.4):
      return f"{verb} {noun}"
    if not (descending or tags) and kind in ("text", "other") and self.maybe(0.3):
      return f"in alphabetical order of {noun}" if self.maybe(0.6) else f"in alphabetical order by {noun}"
    if self.maybe(0.3) and direction.startswith("in ") and "alphabetical" not in direction and "chronological" not in direction:
      return f"{direction} of {noun}"
    return f"{verb} {noun} {direction}" if not direction.endswith("first") else f"{verb} {noun}, {direction}"

  # -------------------------------------------------------------------------------------------------------- aggregates

  def _aggregated(self, query: Query) -> Message:
    """Aggregates over all rows."""
    share = self._share(query)
    if share is not None:
      return share
    items = [bare(i.unalias()) for i in query.items]
    head = self._aggregate_head(query, items)
    spoken = {a for i in items for a in self._aliases(query, i)}
    plan = self.plan(query, head, spoken)
    before, self.existential = self.existential, True
    clauses = self.clauses(query, plan, head, None)
    self.existential = before
    noun, person = self.noun(query, head), self.person(query, head)
    one_row = self._is_single(query, plan, head)
    entity = self.with_number(noun, clauses, person, "plural")
    if len(items) == 1:
      return self._one_aggregate(query, items[0], head, noun, entity, clauses, person)
    counts = [isinstance(i, exp.Count) and isinstance(i.this, exp.Star) for i in items]
    if counts[0] and not any(counts[1:]):
      rest = join_words([f"the {self.aggregate(query, i, head).singular}" for i in items[1:]])
      rest = rest.replace("the ", "their ", 1) if len(items) == 2 and self.maybe(0.6) else rest
      sentences = (f"How many {entity} are there and what {'is' if len(items) == 2 else 'are'} {rest}?", f"How many {entity} are there, and what {'is' if len(items) == 2 else 'are'} {rest}?")
      return Message(f"{self.rng.choice(wordings.COUNT_NOUNS)} {entity} and {rest}", True, sentences=sentences)
    if any(counts):
      total = "total number" if any(self._conditional(query, i, head) for i in items) else "number"
      parts = [f"the {total} of {noun.plural}" if c else f"the {self.aggregate(query, i, head).singular}" for c, i in zip(counts, items, strict=True)]
      return Message(f"{join_words(parts)} for {entity}" if clauses else join_words(parts), True)
    columns = {i.this.sql() for i in items if aggregate_of(i) and isinstance(i.this, exp.Column)}
    if len(columns) == 1 and all(aggregate_of(i) in ("avg", "max", "min", "sum") for i in items):
      words = [self._aggregate_word(query, i) for i in items]
      inner = query.ref(items[0].this)
      word = self.short(inner) if self.belongs(query, inner.alias, head) else self.qualified(query, inner)
      content = f"the {join_words(words)} {word.singular}"
      return Message(self._of(content, entity, noun, clauses, word.singular), True)
    parts = [self.aggregate(query, i, head).singular for i in items]
    the = self.rng.choice(("and", "and the"))
    return Message(self._of(f"the {join_words(parts, the)}", entity, noun, clauses, ""), True, sentence_rate=0.0 if one_row else 0.4)

  def _aggregate_word(self, query: Query, node: exp.Expression) -> str:
    tags = self.column_name(query.ref(node.this)).tags
    function = aggregate_of(node)
    if tags & {"date", "year"} and function in ("max", "min"):
      return self.superlative(tags, function == "max")
    table = {"avg": wordings.AVERAGE, "max": wordings.MAXIMUM, "min": wordings.MINIMUM, "sum": ("total", "total", "combined")}
    return self.rng.choice(table[function])

  def _of(self, content: str, entity: str, noun: Noun, clauses: list[Clause], word: str) -> str:
    if not clauses:
      return f"{content} {self.rng.choice(('of', 'of all', 'for all', 'across all', 'of the', 'of all the'))} {entity}"
    return f"{content} {self.rng.choice(('of', 'of', 'for', 'of all', 'among'))} {entity}"

  def _aggregate_head(self, query: Query, items: list[exp.Expression]) -> str:
    counted = any(isinstance(n.this, exp.Star) for i in items for n in i.find_all(exp.Count))
    finest = query.finest()
    if counted or not any(own_columns(i) for i in items):
      if finest is None:
        raise UnsupportedQuery("a count over tables of which none is the finest")
      if is_pure_link(query.sources[finest]) and self._named_after_ends(query, query.sources[finest]):
        return self._counted_end(query, finest)
      return finest
    aliases = [a for i in items for a in self._aliases(query, i)]
    return aliases[0] if aliases else finest or next(iter(query.sources))

  def _counted_end(self, query: Query, link: str) -> str:
    """The end of a link table that its rows count where the other end is one row: bands of the genre Folk."""
    ends = [e.parent for e in query.neighbours(link) if e.child == link]
    for end in ends:
      others = [o for o in ends if o != end]
      if len(others) == 1 and len(ends) == 2 and self._is_single(query, self.plan(query, link, set()), others[0]):
        return end
    return link

  def aggregate(self, query: Query, node: exp.Expression, head: str) -> Noun:
    """The noun of an aggregate expression beside others."""
    node = bare(node.unalias())
    if isinstance(node, exp.Count):
      return self._count_noun(query, node, head)
    conditional = self._conditional(query, node, head)
    if conditional is not None:
      return Noun(f"number of {conditional}", f"numbers of {conditional}")
    return self.expression(query, node, head)

  def _conditional(self, query: Query, node: exp.Expression, head: str) -> str | None:
    """SUM(CASE WHEN c THEN 1 ELSE 0 END): the rows that satisfy c."""
    if not isinstance(node, exp.Sum) or not isinstance(bare(node.this), exp.Case):
      return None
    case = bare(node.this)
    branches, default = case.args["ifs"], case.args.get("default")
    if len(branches) != 1 or branches[0].args["true"].name != "1" or (default is not None and default.name != "0") or case.this is not None:
      raise UnsupportedQuery("a sum over CASE other than a count")
    return self.with_number(self.noun(query, head), [self.condition(query, branches[0].this, head)], self.person(query, head), "plural")

  def _count_noun(self, query: Query, node: exp.Count, head: str) -> Noun:
    argument = node.this
    if isinstance(argument, exp.Star):
      noun = self.noun(query, head)
      return Noun(f"number of {noun.plural}", f"numbers of {noun.plural}")
    if isinstance(argument, exp.Distinct):
      if len(argument.expressions) != 1 or not isinstance(bare(argument.expressions[0]), exp.Column):
        raise UnsupportedQuery("COUNT(DISTINCT) of more than a column")
      ref = query.ref(bare(argument.expressions[0]))
      different = self.rng.choice(wordings.DISTINCT_WORDS)
      things = self._counted_things(query, ref, head)
      return Noun(f"number of {different} {things}", f"numbers of {different} {things}")
    if isinstance(bare(argument), exp.Column):
      ref = query.ref(bare(argument))
      if self._is_key(ref) or not ref.column.nullable:
        noun = self.noun(query, ref.alias) if self._is_key(ref) else self.noun(query, head)
        return Noun(f"number of {noun.plural}", f"numbers of {noun.plural}")
      things = (self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)).plural
      return Noun(f"number of {things}", f"numbers of {things}")
    raise UnsupportedQuery("COUNT of an expression")

  def _is_key(self, ref: Ref) -> bool:
    return ref.column.name.lower() in (c.lower() for c in ref.table.primary_key) and len(ref.table.primary_key) == 1

  def _counted_things(self, query: Query, ref: Ref, head: str) -> str:
    """What COUNT(DISTINCT column) counts: rows of the table a key points to, or values."""
    if self._is_key(ref):
      return self.noun(query, ref.alias).plural
    for key in ref.table.foreign_keys:
      if len(key.columns) == 1 and key.columns[0].lower() == ref.column.name.lower():
        return self._referred_noun(query, key).plural
    if self.column_name(ref).names_entity and self.maybe(0.3):
      return f"{self.noun(query, ref.alias).singular} {self.short(ref).plural}"
    return (self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)).plural

  def _one_aggregate(self, query: Query, item: exp.Expression, head: str, noun: Noun, entity: str, clauses: list[Clause], person: bool) -> Message:
    """A single aggregate: "How many ...?", "What is the average ...?"."""
    key_of_head = isinstance(item, exp.Count) and isinstance(item.this, exp.Distinct) and len(item.this.expressions) == 1 and isinstance(
      item.this.expressions[0], exp.Column) and self._is_key(query.ref(item.this.expressions[0])) and query.ref(item.this.expressions[0]).alias == head  # fmt: skip
    plain_count = isinstance(item, exp.Count) and (isinstance(item.this, exp.Star) or (isinstance(bare(item.this), exp.Column) and (
      self._is_key(query.ref(bare(item.this))) or not query.ref(bare(item.this)).column.nullable)))  # fmt: skip
    if plain_count or key_of_head:
      different = f"{self.rng.choice(wordings.DISTINCT_WORDS)} " if key_of_head and (not clauses or self.maybe(0.5)) else ""
      entity, plural = f"{different}{entity}", f"{different}{noun.plural}"
      content = f"{self.rng.choice(wordings.COUNT_NOUNS)} {entity}"
      sentences = [f"How many {entity} are there?", f"How many {entity} are there?", f"Count the {'number of ' if self.maybe(0.4) else ''}{entity}.",
                   f"How many {entity} do we have?", f"Count {'all ' if self.maybe(0.3) else ''}{entity}.", f"What's the count of {entity}?"]  # fmt: skip
      if not clauses:
        sentences += [f"How many {entity} are there in total?", f"How many {entity}?", f"How many {entity} are {self.rng.choice(('recorded', 'listed', 'in the database', 'on record'))}?"]
      elif all(c.verbs or c.having for c in clauses):
        said = join_words([self.verb(c, True) for c in clauses])
        sentences += [f"How many {plural} {said}?"] * 4 + [f"Count how many {plural} {said}."]
      return Message(content, False, sentences=tuple(sentences), sentence_rate=0.7)
    if isinstance(item, exp.Count) and isinstance(item.this, exp.Distinct):
      ref = query.ref(bare(item.this.expressions[0])) if len(item.this.expressions) == 1 and isinstance(bare(item.this.expressions[0]), exp.Column) else None
      if ref is None:
        raise UnsupportedQuery("COUNT(DISTINCT) of more than a column")
      things, different = self._counted_things(query, ref, head), self.rng.choice(wordings.DISTINCT_WORDS)
      among = self.rng.choice((f"of {entity}", f"among {entity}", f"for {entity}", f"among the {entity}", f"of all {entity}")) if clauses or self.maybe(0.75) or self._shared_word(query, ref) else ""
      sentences = [f"How many {different} {things} {among} are there?" if clauses and self.maybe(0.2) else f"How many {different} {things} are there {among}?", f"How many {different} {things} do {'the ' if self.maybe(0.4) else ''}{entity} have?", f"Count the {different} {things} {among}."]
      return Message(f"{self.rng.choice(wordings.COUNT_NOUNS)} {different} {things} {among}", False, sentences=tuple(fix_spaces(s) for s in sentences), sentence_rate=0.55)
    if isinstance(item, exp.Count):
      things = self._count_noun(query, item, head).singular
      ref = query.ref(bare(item.this)) if isinstance(bare(item.this), exp.Column) else None
      word = self.short(ref).singular if ref is not None else ""
      return Message(f"the {things} recorded for {entity}", False, sentences=(f"How many {entity} have {article(word)}?", f"How many {self.with_number(noun, clauses, person, 'plural')} have a known {word}?"))
    aggregate = self.aggregate(query, item, head)
    content = self._of(f"the {aggregate.singular}", entity, noun, clauses, "")
    conditional = self._conditional(query, item, head)
    if conditional is not None:
      content = f"the number of {conditional}" + (f" among {entity}" if clauses else "")
      return Message(content, False, sentences=(f"How many {conditional} are there?",) if not clauses else ())
    sentences = []
    if isinstance(item, exp.Avg) and isinstance(item.this, exp.Column):
      ref = query.ref(item.this)
      tags = self.column_name(ref).tags
      if ref.alias == head and "plain" in tags:
        on_average = self.rng.choice(("on average", "on average"))
        every = entity if clauses else self.rng.choice((entity, f"the {entity}"))
        if "age" in tags:
          sentences += [f"How old are {every} {on_average}?"]
        elif "pay" in tags:
          sentences += [f"How much do {every} earn {on_average}?"]
        elif "price" in tags:
          sentences += [f"How much do {every} cost {on_average}?"]
    if isinstance(item, exp.Sum) and isinstance(item.this, exp.Column) and "price" in self.column_name(query.ref(item.this)).tags and query.ref(item.this).alias == head and "plain" in self.column_name(query.ref(item.this)).tags:
      sentences += [f"How much do {entity} cost {self.rng.choice(('in total', 'altogether', 'all together'))}?"]
    return Message(content, False, sentences=tuple(sentences), sentence_rate=0.25)

  def _shared_word(self, query: Query, ref: Ref) -> bool:
    """Whether another table has a column of the same name: then the table must be said."""
    return sum(c.name.lower() == ref.column.name.lower() for t in query.schema.tables for c in t.columns) > 1

  def _share(self, query: Query) -> Message | None:
    """COUNT(*) * 100.0 / (SELECT COUNT(*) ...): a percentage."""
    if len(query.items) != 1:
      return None
    node = bare(query.items[0].unalias())
    if not isinstance(node, exp.Div) or not isinstance(bare(node.expression), exp.Subquery):
      return None
    top = bare(node.this)
    factors = [bare(top.this), bare(top.expression)] if isinstance(top, exp.Mul) else []
    if len(factors) != 2 or not any(isinstance(f, exp.Count) and isinstance(f.this, exp.Star) for f in factors) or not any(f.name in ("100", "100.0") for f in factors):
      return None
    nested = read_nested(node.expression, query)
    if not isinstance(nested, Query) or nested.conditions or nested.edges or query.edges or len(nested.items) != 1 or not isinstance(nested.items[0], exp.Count):
      return None
    head = next(iter(query.sources))
    if nested.sources[next(iter(nested.sources))] is not query.sources[head]:
      return None
    noun, person = self.noun(query, head), self.person(query, head)
    clauses = self.clauses(query, self.plan(query, head, set()), head, None)
    if not clauses:
      return None
    entity = self.with_number(noun, clauses, person, "plural")
    share = self.rng.choice(("percentage", "percent", "percentage", "share in percent"))
    sentences = [f"What {'percentage' if share != 'percent' else share} of {'all ' if self.maybe(0.3) else 'the ' if self.maybe(0.3) else ''}{noun.plural} {self.verb(clauses[0], True)}?"] if len(clauses) == 1 and (clauses[0].verbs or clauses[0].having) else []
    who = "who" if person else "that"
    if all(c.verbs or c.having for c in clauses):
      entity = f"{noun.plural} {who} {join_words([self.verb(c, True) for c in clauses])}"
    else:
      entity = f"{noun.plural} that are {entity}"
    return Message(f"the percentage of {entity}", False, sentences=tuple(sentences), sentence_rate=0.7)

  # ------------------------------------------------------------------------------------------------------- see groups

  def _grouped(self, query: Query) -> Message:
    raise NotImplementedError

  def _combined(self, query: SetQuery) -> Message:
    raise NotImplementedError

  def _derived(self, query: Query) -> Message:
    raise NotImplementedError


@dataclasses.dataclass
class _Column:
  """A returned column: its noun, whether it belongs to the head, whether the head's noun alone can stand for it."""

  noun: Noun
  own: bool
  natural: bool
  ref: Ref | None
  long: bool = False
  through: str = ""


@dataclasses.dataclass
class _Top:
  """A superlative: `limit` rows, a number or adjective before the noun, clauses after it, and the predicate of a question."""

  limit: int
  before: str
  adjective: str
  clauses: list[Clause]
  predicate: str

  def put(self, noun: str) -> str:
    return " ".join(w for w in (self.before, self.adjective, noun) if w)

  def questions(self, noun: Noun, natural: bool, person: bool, clauses: list[Clause], writer: Descriptions) -> list[str]:
    """ "Which doctor has the highest salary?" """
    if not natural or not self.predicate:
      return []
    others = [c for c in clauses if c not in self.clauses]
    if self.limit == 1:
      thing = writer.with_number(noun, others, person, "singular")
      if self.adjective:
        described = writer.with_number(Noun(self.put(noun.singular), self.put(noun.plural)), others, person, "singular")
        return [f"Who is the {described}?" if person else f"What is the {described}?", f"Which {thing} {self.predicate}?" if not others else f"Which is the {described}?"]
      return [f"Which {thing} {self.predicate}?", f"What {thing} {self.predicate}?", f"Which {thing} {self.predicate}?"] + (
        [f"Who is the {writer.with_number(noun, clauses, person, 'singular')}?"] if person else [])  # fmt: skip
    things = writer.with_number(Noun(self.put(noun.singular), self.put(noun.plural)), clauses, person, "plural")
    if self.adjective or self.before.startswith(("top", "bottom")):
      return [f"Who are the {things}?"] if person else [f"What are the {things}?", f"Which are the {things}?"]
    plain = writer.with_number(noun, others, person, "plural")
    return [f"Which {self.before} {plain} {self.predicate}?"]


def aggregate_in(node: exp.Expression) -> bool:
  """Whether an expression aggregates, outside window functions and subqueries."""
  if isinstance(node.unalias(), exp.Window):
    return False
  return any(isinstance(n, exp.AggFunc) for n in node.walk(prune=lambda n: isinstance(n, (exp.Subquery, exp.Window))) if not isinstance(n, exp.Window)) and not isinstance(
    node.unalias(), exp.Subquery)  # fmt: skip


def fix_spaces(text: str) -> str:
  return " ".join(text.split()).replace(" ?", "?").replace(" .", ".")


__all__ = ["Message", "Messages", "Noun", "date_part", "is_link", "operator_of", "plural_of"]
