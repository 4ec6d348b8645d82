"""The mesh and the shardings it gives to params and adapters; on eight CPU devices, the same logits
as on one.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from spftsql_jax.models import LoraConfig, ModelConfig
from spftsql_jax.models.sharding import MESH_AXES, lora_shardings, make_mesh, param_shardings
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import init_state, state_shardings

CONFIG = ModelConfig("qwen2", 63, 32, 48, 2, 4, 1, 8, attention_bias=True)


def test_the_default_mesh_has_all_devices_on_data():
  mesh = make_mesh()
  assert dict(mesh.shape) == {"data": len(jax.devices()), "fsdp": 1, "tensor": 1}


@pytest.mark.parametrize(
  "spec",
  ["data:3,fsdp:5", "rows:1", "data:1,data:1", "data", "data:x", "data:-1,fsdp:-1", "data:0"],
)
def test_meshes_that_do_not_fit_are_refused(spec):
  with pytest.raises(ValueError, match="mesh"):
    make_mesh(spec)


def test_axes_follow_the_rules_and_what_does_not_divide_is_replicated():
  mesh = AbstractMesh((1, 4, 2), MESH_AXES, axis_types=(AxisType.Auto,) * 3)
  layers = param_shardings(CONFIG, mesh)["layers"]
  assert layers["mlp"]["up"]["kernel"].spec == PartitionSpec(None, "fsdp", "tensor")
  assert layers["attention"]["o"]["kernel"].spec == PartitionSpec(None, "tensor", "fsdp")
  # One key-value head is not cut in two, an odd vocabulary neither.
  assert layers["attention"]["k"]["kernel"].spec == PartitionSpec(None, "fsdp", None)
  assert param_shardings(CONFIG, mesh)["embedding"].spec == PartitionSpec(None, "fsdp")
  adapter = lora_shardings(CONFIG, LoraConfig(rank=4, modules=("up",)), mesh)["layers"]["mlp"]["up"]
  assert adapter["a"].spec == PartitionSpec(None, "fsdp", None)
  assert adapter["b"].spec == PartitionSpec(None, None, "tensor")


_SHARDED_RUN = """
import sys
import jax, numpy as np
from spftsql_jax.models import Decoder, load_hf, sharding
mesh = sharding.make_mesh("data:2,fsdp:2,tensor:2")
model, _ = load_hf(sys.argv[1])
_, params = load_hf(sys.argv[1], shardings=sharding.param_shardings(model.config, mesh))
kernel = params["layers"]["mlp"]["up"]["kernel"]
assert kernel.addressable_shards[0].data.size * 4 == kernel.size
tokens = jax.device_put(np.load(sys.argv[2]), sharding.batch_sharding(mesh))
with sharding.use_mesh(mesh):
  np.save(sys.argv[3], jax.jit(model.apply)({"params": params}, tokens))
"""


def test_weights_loaded_to_eight_devices_give_the_logits_of_one(tmp_path):
  sys.path.insert(0, str(pathlib.Path(__file__).parent))
  import hf_checkpoints as checkpoints

  from spftsql_jax.models import load_hf, next_token_logits

  config = checkpoints.hf_config("qwen2") | {"num_hidden_layers": 1}
  folder = checkpoints.write_checkpoint(tmp_path / "hf", config, checkpoints.random_tensors(config))
  tokens = checkpoints.random_tokens((4, 9))
  np.save(tmp_path / "tokens.npy", tokens)
  environment = os.environ | {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    "JAX_PLATFORMS": "cpu",
  }
  command = [
    sys.executable,
    "-c",
    _SHARDED_RUN,
    str(folder),
    str(tmp_path / "tokens.npy"),
    str(tmp_path / "logits.npy"),
  ]
  subprocess.run(
    command, env=environment, check=True, cwd=pathlib.Path(__file__).parents[1], timeout=300
  )
  expected = next_token_logits(*load_hf(folder), tokens)
  np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["adamw", "adafactor", "rmsprop", "muon"])
def test_an_optimizer_s_moments_lie_as_what_they_are_moments_of(kind):
  mesh = AbstractMesh((1, 4, 2), MESH_AXES, axis_types=(AxisType.Auto,) * 3)
  shapes = nn.unbox(abstract_params(CONFIG))
  place = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
  placed = jax.tree.map(place, shapes, param_shardings(CONFIG, mesh))
  optimizer = OptimizerConfig(kind, learning_rate=1e-3)
  found = state_shardings(optimizer, placed)
  state = jax.eval_shape(
    lambda: init_state(optimizer, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes))
  )
  assert jax.tree.structure(found) == jax.tree.structure(state)
  ups = [
    (leaf.shape, sharding.spec)
    for (path, leaf), sharding in zip(
      jax.tree.leaves_with_path(state.optimizer), jax.tree.leaves(found.optimizer), strict=True
    )
    if "['up']" in jax.tree_util.keystr(path)
  ]
  whole = [spec for shape, spec in ups if shape == (2, 32, 48)]
  assert (
    whole
    == [PartitionSpec(None, "fsdp", "tensor")]
    * {"adamw": 2, "adafactor": 1, "rmsprop": 1, "muon": 1}[kind]
  )
  assert all(spec == PartitionSpec() for shape, spec in ups if shape != (2, 32, 48))


_GATHERED_HEAD = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.programs import Workload, prepare
from spftsql_jax.ahead.work import count_work
from spftsql_jax.models import LoraConfig, ModelConfig, log_probs, sharding
log_probs.LOGITS_AT_ONCE = 4096
config = ModelConfig("qwen2", 250, 32, 48, 2, 4, 1, 8, attention_bias=True)
workload = Workload(prefix=32, prompt=8, answer=8, row_tokens=128)
mesh = sharding.make_mesh("fsdp:2")
program = prepare("sft", config, mesh, workload, LoraConfig(rank=2, alpha=4.0))
work = count_work(read_program(program.lower().compile().as_text()))
print(sum(
  each.times
  for each in work.collectives
  if each.kind == "all-gather" and any(set(s.sizes) == {250, 32} for s in each.shapes)
))
"""


def test_slices_of_the_answers_do_not_each_gather_the_output_embedding():
  root = pathlib.Path(__file__).parents[1]
  environment = os.environ | {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
  done = subprocess.run(
    [sys.executable, "-c", _GATHERED_HEAD],
    env=environment,
    cwd=root,
    capture_output=True,
    text=True,
  )
  # 96 answer tokens of two rows, 16 at a time, are six slices.
  assert done.returncode == 0 and 1 <= int(done.stdout) <= 4, done.stdout + done.stderr
