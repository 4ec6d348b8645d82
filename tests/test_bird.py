"""`--comparison=bird`, VES, R-VES and Soft-F1 against BIRD's own scripts.

SPFTSQL_BIRD_MINI_DEV names a clone of bird-bench/mini_dev (third_party/README.md); tests that need
it skip without. The pairs are made from Spider dev: its gold queries, the recorded predictions and
near misses of the gold queries. Every pair is judged with SPFTSQL_BIRD_ALL=1, else a sample. What
BIRD's script says of the recorded predictions is kept in data/bird_verdicts.json.
"""

import importlib
import json
import math
import os
import pathlib
import random
import re
import shutil
import sys
import types
from collections import Counter

import pytest
from shared_data import SHARED, needs_predictions

from spftsql_jax.databases import Executor
from spftsql_jax.judging import metrics, scoring

VERDICTS = pathlib.Path(__file__).parent / "data" / "bird_verdicts.json"
SYSTEMS = ["c3sql-chatgpt", "dail-sql-gpt4", "graphix-t5", "codes-7b"]

# Each turns a query into one that means nearly the same.
NEAR_MISSES = [
  (r"\bDISTINCT\b", ""),
  (r"^\s*SELECT\b(?!\s+DISTINCT)", "SELECT DISTINCT"),
  (r"\bDESC\b", "ASC"),
  (r"\bASC\b", "DESC"),
  (r"\bLIMIT\s+\d+", ""),
  (r"\bORDER BY\b.*$", ""),
  (r"\bWHERE\b[^()]*?(?=\bGROUP\b|\bORDER\b|$)", ""),
  (r">(?!\s*=)", ">="),
  (r"<(?!\s*=)", "<="),
  (r"(?<![<>!])=", "!="),
  (r"\bAND\b", "OR"),
  (r"\bmax\b", "min"),
  (r"\bavg\b", "sum"),
  (r"\bcount\(\*\)", "count(*) * 1.0"),
  (r"\bcount\(\*\)", "CAST(count(*) AS TEXT)"),
  (r"\bcount\(\*\)", "count(DISTINCT 1)"),
  (r"^\s*SELECT\s+([^,()]+?)\s*,\s*([^,()]+?)\s+FROM\b", r"SELECT \2, \1 FROM"),
  (r"^\s*SELECT\s+([^,()]+?)\s+FROM\b", r"SELECT \1, \1 FROM"),
  (r"^\s*SELECT\s+([^,()]+?)\s+FROM\b", r"SELECT nullif(\1, \1) FROM"),
  (r"\bJOIN\b", "LEFT JOIN"),
  (r"\bINTERSECT\b", "UNION"),
  (r"\bEXCEPT\b", "UNION ALL"),
  (r"\bUNION\b", "UNION ALL"),
  (r"$", " LIMIT 0"),
]


@pytest.fixture(scope="module")
def bird():
  """BIRD's scripts. Drivers of servers are not needed, nor a time limit: what takes long is not
  given to them.
  """
  folder = os.environ.get("SPFTSQL_BIRD_MINI_DEV")
  if not folder:
    pytest.skip("SPFTSQL_BIRD_MINI_DEV does not name a clone of bird-bench/mini_dev")
  for name in ("psycopg2", "pymysql"):
    sys.modules.setdefault(name, types.ModuleType(name))
  plain = types.ModuleType("func_timeout")
  plain.func_timeout = lambda seconds, function, args: function(*args)
  plain.FunctionTimedOut = TimeoutError
  sys.modules.setdefault("func_timeout", plain)
  sys.path.insert(0, os.path.join(folder, "evaluation"))
  return types.SimpleNamespace(
    **{name: importlib.import_module(f"evaluation_{name}") for name in ("ex", "f1", "ves")}
  )


def recorded_pairs(system):
  """(db_id, gold, prediction) of a system on Spider dev."""
  lines = (SHARED / f"predictions/spider-dev/{system}.txt").read_text().splitlines()
  examples = json.loads((SHARED / "spider/dev.json").read_text())
  return [
    (e["db_id"], e["query"], line.split("\t")[0].strip())
    for e, line in zip(examples, lines, strict=True)
  ]


def near_misses():
  """Every different query that one of `NEAR_MISSES` makes of a gold query of Spider dev."""
  gold = dict.fromkeys((db_id, query) for db_id, query, _ in recorded_pairs(SYSTEMS[0]))
  # Some joins of the large database wta_1 would become cross products.
  pairs = dict.fromkeys(
    (db_id, query, re.sub(pattern, replacement, query, count=1, flags=re.IGNORECASE))
    for db_id, query in gold
    for pattern, replacement in NEAR_MISSES
    if db_id != "wta_1" or replacement not in ("!=", "OR")
  )
  return list(pairs)


def database(db_id):
  return str(SHARED / f"spider/database/{db_id}/{db_id}.sqlite")


def our_verdicts(pairs):
  queries = [(gold, predicted) for _, gold, predicted in pairs]
  with Executor(workers=2) as executor:
    return scoring.score_predictions(
      queries, [[database(db_id)] for db_id, _, _ in pairs], executor, "bird", timeout_s=10
    )


@needs_predictions
def test_verdicts_on_the_recorded_predictions_are_those_of_the_script():
  recorded = json.loads(VERDICTS.read_text())["correct"]
  for system in SYSTEMS:
    verdicts = our_verdicts(recorded_pairs(system))
    differing = [
      i
      for i, (v, theirs) in enumerate(zip(verdicts, recorded[system], strict=True))
      if "01"[v.correct] != theirs
    ]
    assert [i for i in differing if not verdicts[i].divergence] == []
    assert {verdicts[i].divergence for i in differing} <= {"not_utf8"}, system


@needs_predictions
def test_verdicts_on_gold_predictions_and_near_misses_are_those_of_the_script(bird, tmp_path):
  everything = [(d, gold, gold) for d, gold, _ in recorded_pairs(SYSTEMS[0])]
  everything += [pair for system in SYSTEMS for pair in recorded_pairs(system)] + near_misses()
  pairs = list(dict.fromkeys(everything))
  if not os.environ.get("SPFTSQL_BIRD_ALL"):
    # Most statements over wta_1 take longer than all of another database's.
    pairs = random.Random(0).sample([pair for pair in pairs if pair[0] != "wta_1"], 700)
  for db_id in {db_id for db_id, _, _ in pairs}:
    shutil.copy(database(db_id), tmp_path)
  verdicts = our_verdicts(pairs)
  differing = []
  for i, (db_id, gold, predicted) in enumerate(pairs):
    if verdicts[i].divergence in ("time_limit", "resource_limit"):
      continue
    theirs = bird.ex.execute_model(
      predicted, gold, str(tmp_path / f"{db_id}.sqlite"), i, 30.0, "SQLite"
    )["res"]
    if bool(theirs) != verdicts[i].correct:
      differing.append((verdicts[i].divergence, db_id, gold, predicted, theirs))
  met = Counter(v.divergence for v in verdicts)
  print(
    f"{len(pairs)} pairs, {sum(v.correct for v in verdicts)} correct; divergences met: "
    f"{dict(met)}; differing: {differing}"
  )
  assert [each for each in differing if not each[0]] == []
  assert len(pairs) // 5 < sum(v.correct for v in verdicts) < len(pairs) * 4 // 5


def test_soft_f1_is_the_scripts_own(bird):
  rng = random.Random(0)
  cells = [0, 1, 2, 1.0, 2.5, -1, "1", "a", "", None, b"a", b"1"]
  scores = set()
  for _ in range(3000):
    width = rng.randint(1, 3)
    gold = [tuple(rng.choice(cells) for _ in range(width)) for _ in range(rng.randint(0, 5))]
    predicted = [
      row if rng.random() < 0.6 else tuple(rng.choice(cells) for _ in range(rng.randint(1, 3)))
      for row in gold
    ]
    predicted += [tuple(rng.choice(cells) for _ in range(width)) for _ in range(rng.randint(0, 2))]
    predicted = predicted[rng.randint(0, 1) :]
    score = bird.f1.calculate_f1_score(predicted, gold)
    assert metrics.soft_f1(gold, predicted) == pytest.approx(score, abs=1e-12), (gold, predicted)
    scores.add(round(score, 3))
  assert len(scores) > 50


def test_efficiency_scores_are_the_scripts_own(bird, monkeypatch):
  """The script's loop on given times: rows agree, and each timed run answers the next time of a
  list.
  """
  rng = random.Random(0)
  ratios, rewards = [], []
  for _ in range(500):
    runs, factor = rng.randint(2, 30), rng.choice((0.1, 0.3, 0.6, 0.9, 1.0, 1.5, 2.5))
    gold = [rng.uniform(0.5, 1.5) * (100 if rng.random() < 0.05 else 1) for _ in range(runs)]
    predicted = [seconds / factor * rng.uniform(0.8, 1.2) for seconds in gold]
    times = iter([t for pair in zip(predicted, gold, strict=True) for t in pair])
    monkeypatch.setattr(
      bird.ves,
      "execute_sql",
      lambda *_, return_time=False, times=times: next(times) if return_time else [(1,)],
    )
    reward = bird.ves.iterated_execute_sql("p", "g", "db", runs, "SQLite")
    ratio = metrics.time_ratio(gold, predicted)
    kept = bird.ves.clean_abnormal([g / p for g, p in zip(gold, predicted, strict=True)])
    assert ratio == pytest.approx(sum(kept) / len(kept))
    assert metrics.reward_based_ves([ratio]) == pytest.approx(100 * math.sqrt(reward))
    ratios.append(ratio)
    rewards.append({"reward": reward})
  ratios.append(0.0)
  rewards.append({"reward": 0})
  assert metrics.reward_based_ves(ratios) == pytest.approx(bird.ves.compute_ves(rewards))
  # VES of the first BIRD release is the same mean, with the ratio in the place of the reward.
  as_rewards = [{"reward": ratio} for ratio in ratios]
  assert metrics.valid_efficiency_score(ratios) == pytest.approx(bird.ves.compute_ves(as_rewards))
  assert len({each["reward"] for each in rewards}) == 6
