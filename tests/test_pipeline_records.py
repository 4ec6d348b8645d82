"""Records survive JSON, in the form that recorded runs have; another form is refused by name."""

import dataclasses
import json
import shutil
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import records, result_records
from spftsql_jax.pipeline.codec import from_json, record_to_json, to_json
from spftsql_jax.pipeline.journal import Journal, OtherForm

# Steps of runs of the program before there were records, with some of their data files; what a run
# chooses ("prepare/chosen") is a later one's.
RECORDED = Path(__file__).parent / "data" / "recorded_run"
STEPS = [json.loads(line) for line in (RECORDED / "journal.jsonl").read_text().splitlines()]
FILES = {
  "selection": Example,
  "round_1-verify": Example,
  "round_1-model": Example,
  "self_play-iteration_1": records.Pair,
  "test-base": records.JudgedAnswer,
}


def classes_of(module) -> list[type]:
  """The records that a module declares."""
  declared = [c for c in vars(module).values() if getattr(c, "__module__", "") == module.__name__]
  return [c for c in declared if dataclasses.is_dataclass(c)]


def kind_of(step: str) -> type:
  """The record that a step gives."""
  by_name = {
    "prepare/model": records.StartingModel,
    "prepare/chosen": records.Chosen,
    "prepare/base": records.AddedVersion,
    "prepare/templates": records.DataFile,
    "prepare/data": records.HeldOutFiles,
    "base/selection": records.SelectionScore,
    "sft": records.Trained,
    "questions": records.QuestionWriter,
    "cost": records.Cost,
  }
  by_end = {
    "synthesis": records.Synthesized,
    "questions": records.WrittenQuestions,
    "verification": records.Verified,
    "question_writer": records.QuestionWriter,
    "players": records.Players,
    "pairs": records.Played,
    "samples": records.SolveRates,
  }
  by_stage = {"vbi_ft": records.Trained, "self_play": records.MainUpdate}
  stage, end = step.split("/")[0], step.split("/")[-1]
  if stage == "evaluation":
    return records.DataFile
  trained = by_stage.get(stage, records.BaselineUpdate)
  return by_name.get(step) or by_end.get(end) or trained


@pytest.mark.parametrize("line", STEPS, ids=[line["step"] for line in STEPS])
def test_a_recorded_step_is_read_and_written_to_the_letter(line):
  record = from_json(kind_of(line["step"]), line["output"], "output")
  assert json.dumps(record_to_json(record)) == json.dumps(line["output"])


def test_every_class_that_the_journal_holds_is_recorded():
  made_of_steps = {records.Round, records.Iteration}
  in_data_files = {records.SplitTemplate, records.Pair, records.JudgedAnswer}
  within_others = {records.TemplateErrors, records.Agreement}
  others = made_of_steps | in_data_files | within_others
  assert {kind_of(line["step"]) for line in STEPS} == set(classes_of(records)) - others


def test_recorded_data_files_are_read_and_written_to_the_byte(tmp_path):
  folder = shutil.copytree(RECORDED, tmp_path / "run")
  journal = Journal(folder, {})
  paths = {path.stem.rpartition("-")[0]: path for path in (folder / "data").iterdir()}
  assert set(paths) == set(FILES)
  for name, kind in FILES.items():
    relative, data = str(paths[name].relative_to(folder)), paths[name].read_bytes()
    read = journal.read_records(relative, kind)
    assert len(read) == data.count(b"\n") and all(type(record) is kind for record in read)
    assert journal.write_records(name, read) == relative and paths[name].read_bytes() == data
  journal.close()


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda output: output.pop("verify"), "its output lacks the field 'verify'"),
    (lambda output: output.update(held="data/x.jsonl"), "its output has no field 'held'"),
    (lambda output: output.update(accepted="60"), "its output.accepted must be int, not '60'"),
    (lambda output: output.update(seconds=None), "its output.seconds must be float, not None"),
    (lambda output: output.update(rejections={"a": 1.5}), "its output.rejections.a must be int"),
  ],
)
def test_a_step_of_another_form_is_named_with_what_to_do(tmp_path, change, message):
  folder = shutil.copytree(RECORDED, tmp_path / "run")
  lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
  [step] = [line for line in lines if line["step"] == "vbi_ft/round_1/synthesis"]
  change(step["output"])
  (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  journal = Journal(folder, {})
  with pytest.raises(OtherForm) as caught:
    journal.step(step["step"], records.Synthesized, lambda: pytest.fail("done already"))
  journal.close()
  said = str(caught.value)
  assert message in said and "journal.jsonl: step vbi_ft/round_1/synthesis" in said
  assert "--start_from" in said and isinstance(caught.value, ValueError)


def values_of(hint) -> st.SearchStrategy:
  """Values of a record's field."""
  if dataclasses.is_dataclass(hint):
    return st.builds(
      hint, **{name: values_of(each) for name, each in typing.get_type_hints(hint).items()}
    )
  origin, arguments = typing.get_origin(hint), typing.get_args(hint)
  if origin is typing.Literal:
    return st.sampled_from(arguments)
  if isinstance(hint, types.UnionType):
    return st.one_of([values_of(each) for each in arguments])
  if origin is tuple and arguments[-1] is Ellipsis:
    return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
  if origin is tuple:
    return st.tuples(*map(values_of, arguments))
  if origin is Mapping:
    # A summary stands beside the record's own fields: none has such a name.
    return st.dictionaries(st.text(max_size=5).map("x_{}".format), values_of(arguments[1]))
  plain = {
    str: st.text(max_size=9),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    types.NoneType: st.none(),
    object: st.integers(),
  }
  return plain[hint]


KINDS = classes_of(records) + classes_of(result_records)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_record_survives_json(kind, data):
  record = data.draw(values_of(kind))
  text = json.dumps(record_to_json(record))
  assert from_json(kind, json.loads(text), "record") == record


def test_only_json_values_are_written():
  with pytest.raises(TypeError, match="set is nothing that JSON has"):
    to_json({"a": {1, 2}})


def test_what_is_none_is_null_unless_it_is_optional():
  written = record_to_json(records.WrittenQuestions("data/a.jsonl", 0, None, None))
  assert written["agreement"] is None and written["consistency"] is None
  assert record_to_json(records.StartingModel(vocab_size=600)) == {"vocab_size": 600}
  assert record_to_json(records.StartingModel(hf_model="m")) == {"hf_model": "m"}
