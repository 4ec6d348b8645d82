"""Stage 1, verification-based iterative fine-tuning (VBI-FT): arXiv 2509.03937 section 3.1.

A round synthesizes SQL from templates, writes questions, fine-tunes on real and synthetic data,
evaluates on synthesized examples held back from training, and feeds back: right answers train the
SQL-to-text model, the templates of wrong answers weigh more in the next round.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from spftsql_jax import hosts
from spftsql_jax.amounts import rate
from spftsql_jax.answering.predict import query_request
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.splits import hold_back
from spftsql_jax.pipeline.stages.consistency import check_questions
from spftsql_jax.pipeline.units import prompt_schema, question_units, sql_units
from spftsql_jax.pipeline.workbench import (
  SELECTION,
  Workbench,
  add_version,
  answer_and_judge,
  checkpoint_folder,
  data_hash,
  error_rates,
  fault_line,
  read_examples_of,
  stage_seed,
  train,
  write_examples,
)
from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import Synthesis, joined, reweight, synthesize
from spftsql_jax.synthesis.templates import extract_templates
from spftsql_jax.training.trainer import forget_checkpoints


@dataclasses.dataclass(frozen=True)
class TemplateSplits:
  """The templates of a run, apart by split: no template is in two, unless the paper's splits are
  asked for.
  """

  train: tuple[WeightedTemplate, ...]
  self_play: tuple[WeightedTemplate, ...]
  selection: tuple[WeightedTemplate, ...]


def split_templates(
  bench: Workbench, seeds: Sequence[Example], schemas: dict[str, Schema]
) -> TemplateSplits:
  """The run's templates by split: dealt once (thousands of seeds take minutes), then read from the
  file of the journal.
  """
  journal = bench.journal

  def deal() -> dict[str, Any]:
    splits = dataclasses.asdict(_deal_templates(bench, seeds, schemas))
    rows = [
      {"split": name, "text": i["template"]["text"], "weight": i["weight"]}
      for name in splits
      for i in splits[name]
    ]
    return {"file": journal.write_jsonl("templates", rows)}

  parts: dict[str, list[WeightedTemplate]] = {
    field.name: [] for field in dataclasses.fields(TemplateSplits)
  }
  for row in journal.read_jsonl(journal.step("prepare/templates", deal)["file"]):
    parts[row["split"]].append(WeightedTemplate(Template(row["text"]), row["weight"]))
  return TemplateSplits(**{name: tuple(items) for name, items in parts.items()})


def _deal_templates(
  bench: Workbench, seeds: Sequence[Example], schemas: dict[str, Schema]
) -> TemplateSplits:
  """Templates of the seeds and of the built-in pool, dealt to three disjoint splits.

  The seeds are trained on, so their templates are in `train`. Of the others each split gets its
  share of the weight: heaviest first, each template goes to the split that is furthest below its
  share.
  """
  config = bench.config.synthesis
  from_seeds, _ = (
    extract_templates([(e.query, schemas[e.db_id]) for e in seeds]) if seeds else ([], {})
  )
  trained = {item.template for item in from_seeds}
  pool = [item for item in builtin_templates() if item.template not in trained]
  pool_share = config.pool_share if from_seeds else 1.0
  seeds_mass, pool_mass = sum(i.weight for i in from_seeds), sum(i.weight for i in pool)
  shares = {
    "train": 1 - sum(config.holdout),
    "self_play": config.holdout[0],
    "selection": config.holdout[1],
  }
  parts: dict[str, list[WeightedTemplate]] = {name: [] for name in shares}
  filled = Counter({name: 0.0 for name in shares})
  rng = random.Random(stage_seed(bench, "template splits"))
  ties = {item.template: rng.random() for item in pool}
  for item in sorted(pool, key=lambda i: (-i.weight, ties[i.template])):
    name = min(
      (n for n in shares if shares[n] > 0), key=lambda n: (filled[n] + item.weight) / shares[n]
    )
    parts[name].append(dataclasses.replace(item, weight=pool_share * item.weight / pool_mass))
    filled[name] += item.weight
  parts["train"] += [
    dataclasses.replace(i, weight=(1 - pool_share) * i.weight / seeds_mass) for i in from_seeds
  ]
  if bench.config.paper_splits:
    parts = dict.fromkeys(parts, [item for part in parts.values() for item in part])
  return TemplateSplits(*(tuple(parts[name]) for name in ("train", "self_play", "selection")))


def make_examples(
  bench: Workbench,
  name: str,
  templates: Sequence[WeightedTemplate],
  count: int,
  apart: Sequence[Example],
  db_ids: Sequence[str],
  wordings: int = 1,
  also_apart: Sequence[Example] = (),
) -> Synthesis:
  """Synthesizes `count` verified examples over the databases `db_ids`. Every process makes its
  shard, and all have the whole.

  Args:
    apart: examples of other splits: none of their queries is made again.
    also_apart: the same for many examples with which few are shared: what was made all the same is
      left out, and not replaced.
  """
  made = synthesize(
    [bench.databases[d].location for d in db_ids],
    templates,
    count,
    stage_seed(bench, name),
    # A few examples are made sooner than worker processes start.
    workers=bench.config.synthesis.workers if count > 1000 else 1,
    exclude=[e.query for e in apart],
    instances=bench.config.synthesis.instances,
    instance_dir=bench.journal.workdir / "instances",
    decay=bench.config.synthesis.decay,
    wordings=wordings,
    parts=bench.config.synthesis.parts,
    shard=(hosts.index(), hosts.count()),
  )
  made = joined(hosts.gather(made))
  # Once more by all that tells queries apart: synthesis goes by their normal form.
  shared = bench.queries.among([e.example() for e in made.examples], [*apart, *also_apart])
  kept = [e for e, found in zip(made.examples, shared, strict=True) if not found]
  return dataclasses.replace(
    made,
    examples=kept,
    templates=Counter(e.template for e in kept),
    rejections=made.rejections + Counter({"asks a query of another split": sum(shared)}),
  )


def train_question_writer(
  bench: Workbench, version: str, parent: str | None, examples: Sequence[Example]
) -> dict[str, Any]:
  """Fine-tunes the SQL-to-text model on reversed pairs and adds it to `bench.writers`; without
  examples the parent stays.
  """
  if not examples:
    bench.say(
      "  there is no example yet to train the SQL-to-text model on: all questions are worded by "
      "rules"
    )
    return {"version": parent, "examples": 0}
  stage = f"questions/{version}"
  tree = bench.writers.load(parent, bench.like) if parent else bench.load("base")
  result = train(
    bench, stage, tree, question_units(bench, examples), bench.config.vbi_ft.question_training
  )
  hashed = data_hash(examples)
  lineage = Lineage(
    "questions", parent=parent, data_hash=hashed, seed=bench.config.seed, fault=fault_line(result)
  )
  bench.writers.add(version, result.trained, lineage)
  forget_checkpoints(checkpoint_folder(bench, stage))
  return {"version": version, "examples": len(examples), **result.summary}


def write_model_questions(
  bench: Workbench, version: str, queries: Sequence[Example]
) -> list[Example]:
  """The SQL-to-text model's wording of each query; queries for which it writes nothing are left
  out.
  """
  tokenizer = bench.tokenizer
  weights = bench.local_weights(bench.writers.load(version, bench.like))

  def write(places: list[int]) -> list[str]:
    asked = [
      query_request(tokenizer, prompt_schema(bench, queries[place]), queries[place].query)
      for place in places
    ]
    requests = [
      dataclasses.replace(request, id=place) for request, place in zip(asked, places, strict=True)
    ]
    answers = bench.generator.generate(
      requests=requests,
      max_new_tokens=bench.config.max_new_tokens,
      eos_id=tokenizer.end_ids,
      temperature=0.7,
      top_p=0.95,
      seed=stage_seed(bench, version) % 2**31,
      **weights,
    )
    return [tokenizer.decode(a.tokens) if a.status == "stop" else "" for a in answers]

  texts = hosts.in_shares([e.db_id for e in queries], write)
  return [
    dataclasses.replace(e, question=t, source="model")
    for e, t in zip(queries, texts, strict=True)
    if t
  ]


def run_round(
  bench: Workbench,
  number: int,
  parent: str,
  writer: str | None,
  seeds: Sequence[Example],
  templates: Sequence[WeightedTemplate],
  db_ids: Sequence[str],
  apart: Sequence[Example],
  selection: Sequence[Example],
  earlier: Sequence[str],
) -> dict[str, Any]:
  """One round. Each step is journaled, so that a run cut off in the middle goes on there.

  Args:
    number: of the round, from 1.
    parent: the version that is fine-tuned further.
    writer: the version of the SQL-to-text model that words queries; None while nothing has trained
      one.
    seeds: labelled examples.
    templates: this round's, with their weights.
    db_ids: databases to synthesize on.
    apart: examples whose queries must not be made: those of the test, of selection and self-play,
      and what earlier rounds held back for verification.
    selection: examples on which the round's version is scored.
    earlier: data files of the rounds before, which are trained on again.

  Returns:
    version, writer for the next round, data files, verification file, template errors, and the
    figures of the round.
  """
  journal, config, name = bench.journal, bench.config.vbi_ft, f"vbi_ft/round_{number}"
  synthesis_config = bench.config.synthesis
  version = f"vbi_ft-{number}"

  def synthesize_round() -> dict[str, Any]:
    count = synthesis_config.examples + config.verify
    made = make_examples(bench, name, templates, count, apart, db_ids, synthesis_config.wordings)
    examples = [e.example() for e in made.examples]
    if not examples and not seeds and not earlier:
      reasons = ", ".join(
        f"{reason} ({count:,} times)" for reason, count in made.rejections.most_common(3)
      )
      raise ValueError(
        f"{name}: no example can be synthesized on {', '.join(db_ids)}, and there are no seeds: "
        f"{reasons}"
      )
    # Held back for verification: whole queries with all their wordings, an even draw over the
    # databases, of the same templates as what is trained on, but no query that was ever trained on.
    trained = [*seeds, *(e for file in earlier for e in read_examples_of(bench, file))]
    groups = bench.queries.groups(examples)
    barred = frozenset(
      g for g, found in zip(groups, bench.queries.among(examples, trained), strict=True) if found
    )
    wanted = min(config.verify, len(examples) // 4)
    held, rest = hold_back(
      groups, wanted, random.Random(stage_seed(bench, f"{name}/held back")), barred
    )
    if len(held) < wanted:
      bench.say(
        f"  {len(held)} of {wanted} examples are held back for verification: all other queries "
        "are "
        "trained on already"
      )
    train_part = [examples[i] for i in rest]
    bench.say(
      f"  synthesized {len(examples):,} examples in {made.seconds:.0f} s from "
      f"{len(made.templates)} templates; "
      f"{sum(made.rejections.values()):,} queries rejected"
    )
    return {
      "train": write_examples(bench, f"round_{number}-train", train_part),
      "verify": write_examples(bench, f"round_{number}-verify", [examples[i] for i in held]),
      "accepted": len(examples),
      "rejections": dict(sorted(made.rejections.items(), key=lambda item: (-item[1], item[0]))),
      "seconds": made.seconds,
    }

  made = journal.step(f"{name}/synthesis", synthesize_round)
  rules = read_examples_of(bench, made["train"])

  def write_questions() -> dict[str, Any]:
    # The check needs a model that answers something: with none that does, nothing would be kept.
    checker = bench.models.score(parent, SELECTION)
    if writer is None or checker is None or not any(checker.outcomes):
      none = {"written": 0, "agreement": None, "consistency": None}
      return {"model": write_examples(bench, f"round_{number}-model", []), **none}
    rng = random.Random(stage_seed(bench, f"{name}/questions"))
    chosen = rng.sample(rules, round(len(rules) * synthesis_config.model_questions))
    written = write_model_questions(bench, writer, chosen)
    checked = check_questions(bench, parent, written, synthesis_config.check_samples)
    rates = checked.to_json()
    bench.say(
      f"  the SQL-to-text model worded {len(written):,} of {len(chosen):,} queries again; "
      f"{len(checked.kept):,} of these agree "
      f"with an answer out of {synthesis_config.check_samples}, {checked.counts[-1]:,} with all"
    )
    file = write_examples(bench, f"round_{number}-model", checked.kept)
    return {
      "model": file,
      "written": len(written),
      "agreement": rates["kept"],
      "consistency": rates,
    }

  questions = journal.step(f"{name}/questions", write_questions)

  def fine_tune() -> dict[str, Any]:
    synthetic = [
      e
      for file in (*earlier, made["train"], questions["model"])
      for e in read_examples_of(bench, file)
    ]
    repeats = bench.config.seed_repeats
    examples = list(seeds) * repeats + synthetic
    # Each seed is tokenized once.
    units = sql_units(bench, seeds) * repeats + sql_units(bench, synthetic)
    result = train(bench, name, bench.load(parent), units, config.training, held_out=selection)
    candidate = bench.config.self_play.candidates == "fine_tuned"
    lineage = Lineage(
      "vbi_ft",
      number,
      parent,
      data_hash=data_hash(examples),
      candidate=candidate,
      fault=fault_line(result),
    )
    selected = add_version(bench, version, result.trained, lineage, selection, name)
    bench.say(
      f"  {version}: trained on {len(examples):,} examples at "
      f"{rate(result.summary['examples_per_second'])}; "
      f"selection EX {selected.execution_accuracy:.1%}, {selected.executable:.0%} run"
    )
    return {"selection_ex": selected.execution_accuracy, **result.summary}

  trained = journal.step(f"{name}/training", fine_tune)

  def verify() -> dict[str, Any]:
    held = selection if bench.config.paper_splits else read_examples_of(bench, made["verify"])
    predictions, verdicts = answer_and_judge(bench, bench.load(version), held)
    right = [bool(v.suite_correct) for v in verdicts]
    positive = [
      dataclasses.replace(e, query=p) for e, p, r in zip(held, predictions, right, strict=True) if r
    ]
    wrong = [not r for r in right]
    bench.say(f"  verification: {sum(right)} of {len(right)} held-back examples answered rightly")
    return {
      "positive": write_examples(bench, f"round_{number}-positive", positive),
      "template_errors": error_rates(held, wrong),
      "verified_ex": sum(right) / max(len(right), 1),
    }

  verified = journal.step(f"{name}/verification", verify)
  next_writer = None
  # The last round's would write nothing.
  if synthesis_config.model_questions and number < config.rounds:
    next_writer = journal.step(
      f"{name}/question_writer",
      lambda: train_question_writer(
        bench, f"writer-{number}", writer, [*seeds, *read_examples_of(bench, verified["positive"])]
      ),
    )["version"]
  return {
    "version": version,
    "writer": next_writer,
    "number": number,
    "files": [made["train"], questions["model"]],
    "verify": made["verify"],
    "accepted": made["accepted"],
    "rejections": made["rejections"],
    "agreement": questions["agreement"],
    "consistency": questions["consistency"],
    "model_questions": questions["written"],
    "template_errors": verified["template_errors"],
    "verified_ex": verified["verified_ex"],
    "selection_ex": trained["selection_ex"],
    "seconds": trained["seconds"],
  }


def next_templates(
  bench: Workbench, templates: Sequence[WeightedTemplate], done: dict[str, Any]
) -> list[WeightedTemplate]:
  """The next round's templates: those of y- weigh more, up to the cap."""
  errors = {row["template"]: row["errors"] for row in done["template_errors"]}
  return reweight(templates, errors, cap=bench.config.synthesis.feedback_cap)
