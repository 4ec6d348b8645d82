"""Log-probs, losses and gradient norms equal TRL's on the same model and pairs (DPO, sigmoid; SPIN
as published).
"""

import json
import pathlib
import sys

import jax
import numpy as np
import optax
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import trl_reference

from spftsql_jax.examples.batches import BatchShape, Branch, Unit, collate
from spftsql_jax.models import load_hf
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.training.losses import dpo_loss, spin_loss
from spftsql_jax.training.step import Objective, loss_and_gradients, numbers_of, program_of

SHAPE = BatchShape(2, 6, (24,), (20,), (12,))


def branches() -> list[tuple[Branch, Branch]]:
  return [
    tuple(
      Branch(tuple(p["prefix"]), tuple(p["prompt"]), tuple(p[side]))
      for side in ("chosen", "rejected")
    )
    for p in trl_reference.pairs()
  ]


def batch_of(log_probs: np.ndarray | None = None):
  units = [
    Unit(b, 1.0, () if log_probs is None else tuple(log_probs[i])) for i, b in enumerate(branches())
  ]
  return collate(units, [[0, 2, 4], [1, 3, 5]], SHAPE, 1)


def log_probs_of(folder) -> np.ndarray:
  """[6, 2] of (chosen, rejected), by the pairs' order."""
  model, params = load_hf(folder)
  found = np.asarray(
    jax.jit(lambda p: answer_log_probs(model, {"params": p}, batch_of()))(params)
  ).reshape(2, 3, 2)
  return np.stack([found[i % 2, i // 2] for i in range(6)])


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
  """(policy's folder, log-probs of policy and reference)."""
  policy, reference = trl_reference.write_models(tmp_path_factory.mktemp("models"))
  return policy, log_probs_of(policy), log_probs_of(reference)


def check(ours, theirs) -> None:
  folder, policy, reference = ours
  for name, values in (("policy", policy), ("reference", reference)):
    expected = np.stack([theirs[name]["chosen"], theirs[name]["rejected"]], axis=1)
    np.testing.assert_allclose(values, expected, atol=1e-4, rtol=1e-5)
  model, params = load_hf(folder)
  batch = jax.tree.map(lambda x: x[None], batch_of(reference))
  program = program_of(Objective("dpo"))
  run = jax.jit(lambda numbers: loss_and_gradients(model, program, params, None, batch, numbers))
  for beta in trl_reference.BETAS:
    expected = theirs["losses"][str(beta)]
    columns = (policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1])
    assert dpo_loss(*columns, beta) == pytest.approx(expected, abs=1e-4)
    assert spin_loss(*columns, beta) == pytest.approx(expected, abs=1e-4)
    for loss in ("dpo", "spin"):
      gradients, metrics = run(numbers_of(Objective(loss, beta=beta)))
      assert float(metrics["loss"]) == pytest.approx(expected, abs=1e-4)
      assert float(optax.global_norm(gradients)) == pytest.approx(
        theirs["gradient_norms"][str(beta)], rel=1e-4
      )


def test_losses_log_probs_and_gradients_equal_what_trl_computed(ours):
  check(
    ours, json.loads((pathlib.Path(__file__).parent / "data" / "trl_reference.json").read_text())
  )


def test_losses_log_probs_and_gradients_equal_trl(ours, tmp_path):
  pytest.importorskip("trl", reason="trl is not installed: see tests/trl_reference.py")
  check(ours, trl_reference.trl_values(tmp_path))
