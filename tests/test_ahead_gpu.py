"""Programs for NVIDIA GPUs that are not there: what their text says, and what compiling needs."""

from __future__ import annotations

import importlib.metadata
import warnings

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractDevice, AbstractMesh

from spftsql_jax.ahead import devices
from spftsql_jax.ahead.compiled import compiled
from spftsql_jax.ahead.gpu_target import target_config
from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.launches import counted, launches
from spftsql_jax.ahead.programs import Prepared, Workload, _row, prepare
from spftsql_jax.ahead.report import describe
from spftsql_jax.ahead.work import count_work
from spftsql_jax.models import ModelConfig, packed_flash, platforms, sharding
from spftsql_jax.models.chips import Chip, chip_of
from spftsql_jax.models.flops import forward_flops
from spftsql_jax.models.gpus import usual_gpus

# Lines of a program that was compiled for an H100, with smaller sizes: a loop of three turns with a
# product by cuBLAS, one whose operand is cut out of stacked weights, one by Triton, a kernel of
# Pallas, cuDNN's attention, and a result that is put into its place among others.
PROGRAM = """HloModule jit_step, is_scheduled=true

FileNames
1 "spftsql_jax/models/transformer.py"

FileLocations
1 {file_name_id=1 function_name_id=1 line=19 end_line=19 column=4 end_column=25}

%sliced_product (p.1: bf16[8,16], p.2: bf16[3,16,4], p.3: s32[]) -> (f32[8,4], s8[1024]) {
  %p.1 = bf16[8,16]{1,0} parameter(0)
  %p.2 = bf16[3,16,4]{2,1,0} parameter(1)
  %p.3 = s32[] parameter(2)
  %zero.1 = s32[] constant(0)
  %cut = bf16[1,16,4]{2,1,0} dynamic-slice(%p.2, %p.3, %zero.1, %zero.1), dynamic_slice_sizes={1,16,4}
  %flat = bf16[16,4]{1,0} bitcast(%cut)
  ROOT %by_library = (f32[8,4]{1,0}, s8[1024]{0}) custom-call(%p.1, %flat), custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":{"alpha_real":1,"beta":0,"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"],"lhs_batch_dimensions":[],"rhs_batch_dimensions":[]}}}
}

%by_triton (p.4: bf16[8,16], p.5: bf16[16,2]) -> f32[8,2] {
  %p.4 = bf16[8,16]{1,0} parameter(0)
  %p.5 = bf16[16,2]{1,0} parameter(1)
  ROOT %dot.1 = f32[8,2]{1,0} dot(%p.4, %p.5), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%placed (p.6: f32[3,8,4], p.7: f32[8,4], p.8: s32[]) -> f32[3,8,4] {
  %p.6 = f32[3,8,4]{2,1,0} parameter(0)
  %p.7 = f32[8,4]{1,0} parameter(1)
  %p.8 = s32[] parameter(2)
  %zero.2 = s32[] constant(0)
  %row = f32[1,8,4]{2,1,0} bitcast(%p.7)
  ROOT %put = f32[3,8,4]{2,1,0} dynamic-update-slice(%p.6, %row, %p.8, %zero.2, %zero.2)
}

%body (s: (s32[], bf16[8,16], bf16[16,16], bf16[3,16,4], bf16[16,2], /*index=5*/f32[3,8,4])) -> (s32[], bf16[8,16], bf16[16,16], bf16[3,16,4], bf16[16,2], /*index=5*/f32[3,8,4]) {
  %s = (s32[], bf16[8,16]{1,0}, bf16[16,16]{1,0}, bf16[3,16,4]{2,1,0}, bf16[16,2]{1,0}, /*index=5*/f32[3,8,4]{2,1,0}) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %x = bf16[8,16]{1,0} get-tuple-element(%s), index=1
  %w = bf16[16,16]{1,0} get-tuple-element(%s), index=2
  %stack = bf16[3,16,4]{2,1,0} get-tuple-element(%s), index=3
  %v = bf16[16,2]{1,0} get-tuple-element(%s), index=4
  %all = f32[3,8,4]{2,1,0} get-tuple-element(%s), index=5
  %custom-call.13 = (bf16[8,16]{1,0}, s8[33554432]{0}) custom-call(%x, %w), custom_call_target="__cublas$lt$matmul", metadata={op_name="jit(step)/layers/q/dot_general" stack_frame_id=1}, backend_config={"operation_queue_id":"0","gemm_backend_config":{"alpha_real":1,"beta":0,"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"],"lhs_batch_dimensions":[],"rhs_batch_dimensions":[]},"epilogue":"DEFAULT","lhs_stride":"128"},"force_earliest_schedule":false}
  %q = bf16[8,16]{1,0} get-tuple-element(%custom-call.13), index=0
  %fusion.1 = (f32[8,4]{1,0}, s8[1024]{0}) fusion(%q, %stack, %i), kind=kCustom, calls=%sliced_product, backend_config={"fusion_backend_config":{"kind":"__custom_fusion","custom_fusion_config":{"name":"dynamic_slice_fusion","kernel_index":0}}}
  %y = f32[8,4]{1,0} get-tuple-element(%fusion.1), index=0
  %gemm_fusion = f32[8,2]{1,0} fusion(%q, %v), kind=kCustom, calls=%by_triton, backend_config={"fusion_backend_config":{"kind":"__triton_nested_gemm_fusion"}}
  %pallas_call.0 = bf16[8,16]{1,0} custom-call(%q, %x), custom_call_target="__gpu$xla.gpu.triton", api_version=API_VERSION_TYPED_FFI, metadata={op_name="jit(step)/layers/packed_forward/pallas_call"}, backend_config={debug = false, grid_x = 64 : i32, ir = "ML\\EFR\\0DMLIR23.0.0git{", name = "packed_forward", num_stages = 2 : i32, num_warps = 4 : i32}
  %cudnn = (bf16[8,16]{1,0}, u8[0]{0}) custom-call(%q, %x, %x), custom_call_target="__cudnn$fmhaSoftmax", backend_config={"cudnn_fmha_backend_config":{"fmha_scale":0.125}}
  %fusion.2 = f32[3,8,4]{2,1,0} fusion(%all, %y, %i), kind=kLoop, calls=%placed
  ROOT %t = (s32[], bf16[8,16]{1,0}, bf16[16,16]{1,0}, bf16[3,16,4]{2,1,0}, bf16[16,2]{1,0}, /*index=5*/f32[3,8,4]{2,1,0}) tuple(%i, %x, %w, %stack, %v, %fusion.2)
}

%condition (s.2: (s32[], bf16[8,16], bf16[16,16], bf16[3,16,4], bf16[16,2], /*index=5*/f32[3,8,4])) -> pred[] {
  %three = s32[] constant(3)
  %s.2 = (s32[], bf16[8,16]{1,0}, bf16[16,16]{1,0}, bf16[3,16,4]{2,1,0}, bf16[16,2]{1,0}, /*index=5*/f32[3,8,4]{2,1,0}) parameter(0)
  %i.2 = s32[] get-tuple-element(%s.2), index=0
  ROOT %lt = pred[] compare(%i.2, %three), direction=LT
}

ENTRY %main (a: f32[64]) -> f32[3,8,4] {
  %a = f32[64]{0} parameter(0)
  %copy.1 = f32[64]{0} copy(%a)
  %start = (s32[], bf16[8,16]{1,0}, bf16[16,16]{1,0}, bf16[3,16,4]{2,1,0}, bf16[16,2]{1,0}, /*index=5*/f32[3,8,4]{2,1,0}) tuple(%copy.1)
  %l = (s32[], bf16[8,16]{1,0}, bf16[16,16]{1,0}, bf16[3,16,4]{2,1,0}, bf16[16,2]{1,0}, /*index=5*/f32[3,8,4]{2,1,0}) while(%start), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"3"},"known_init_step":{"init":"0","step":"1"}}
  ROOT %o = f32[3,8,4]{2,1,0} get-tuple-element(%l), index=5
}
"""  # noqa: E501


def test_products_of_cublas_and_triton_count_and_opaque_kernels_are_named():
  work = count_work(read_program(PROGRAM))
  assert work.flops() == {"bf16": 3 * 2.0 * 8 * 16 * (16 + 4 + 2)} and work.unknown_loops == 0
  assert work.products[0].source == "jit(step)/layers/q/dot_general"
  assert work.kernels == {"packed_forward": 3, "__cudnn$fmhaSoftmax": 3}


def test_launches_move_what_they_read_and_write():
  found = launches(read_program(PROGRAM))
  kinds = {"cublas": 6, "fusion": 6, "packed_forward": 3, "__cudnn$fmhaSoftmax": 3, "copy": 1}
  assert counted(found) == kinds
  moved = [each.bytes for each in found]
  assert moved == [
    64 * 4 * 2,
    2 * (8 * 16 + 16 * 16 + 8 * 16),  # Not the 32 MiB that cuBLAS works in.
    2 * (8 * 16 + 16 * 4) + 4 + 4 * 8 * 4,  # One of three layers is read.
    2 * (8 * 16 + 16 * 2) + 4 * 8 * 2,
    3 * 2 * 8 * 16,
    4 * 2 * 8 * 16,
    2 * 4 * 8 * 4 + 4,  # One of three rows is written.
  ]
  chip = Chip("any", 1, products=1e3, memory=1e6, links=0, usd_an_hour=0)
  assert found[1].seconds(chip) == 2.0 * 8 * 16 * 16 / 1e3
  assert found[1].seconds(chip, opaque=1e6) == pytest.approx((1e6 + 4096) / 1e3)
  assert found[0].seconds(chip) == 512 / 1e6


def test_products_of_float32_take_twice_as_long():
  text = PROGRAM.replace("bf16[", "f32[")
  chip = Chip("any", 1, products=1e3, memory=1e9, links=0, usd_an_hour=0)
  assert launches(read_program(text))[1].seconds(chip) == 2 * 2.0 * 8 * 16 * 16 / 1e3


@pytest.mark.parametrize("name", usual_gpus())
def test_a_gpu_s_memory_is_in_the_table_of_chips(name):
  gpu = usual_gpus()[name]
  chip = chip_of(gpu.device_kind)
  # Of the kind itself or of what it begins with, but not "NVIDIA L4" for an L40S.
  assert gpu.device_kind[len(chip.kind) :][:1] in ("", " ", "-")
  text = target_config(gpu)
  assert f"core_count: {gpu.cores}\n" in text and f'name: "{gpu.device_kind}"' in text
  assert f"memory_bandwidth: {int(chip.memory)}\n" in text
  assert text.count("{") == text.count("}") == 3


def test_the_peak_is_that_of_the_data_sheet():
  """Cores by operations a clock, which the architecture's paper has."""
  for name, a_core_and_clock in (("a100", 2048), ("h200", 4096), ("l40s", 1024), ("l4", 1024)):
    gpu = usual_gpus()[name]
    peak = gpu.cores * a_core_and_clock * gpu.clock_ghz * 1e9
    assert chip_of(gpu.device_kind).products == pytest.approx(peak, rel=0.1), name


def use(kind):
  device = AbstractDevice(kind, 1, "gpu")
  mesh = AbstractMesh((1, 1, 1), sharding.MESH_AXES, abstract_device=device)
  return jax.sharding.use_abstract_mesh(mesh)


def test_kernels_are_for_the_gpu_that_a_program_is_made_for():
  query = jnp.zeros((1, 64, 1, 2, 64), jnp.bfloat16)
  key = jnp.zeros((1, 64, 1, 64), jnp.bfloat16)
  assert platforms.compute_capability() is None and not packed_flash.has_kernel(query, key, key)
  for kind, capability in (("NVIDIA H200", (9, 0)), ("NVIDIA L4", (8, 9)), ("Tesla T4", (7, 5))):
    with use(kind):
      assert platforms.compute_capability() == capability
      assert packed_flash.has_kernel(query, key, key) == (capability[0] >= 8)
  with use("NVIDIA of tomorrow"):
    assert platforms.compute_capability() is None


@pytest.mark.parametrize(
  "topology, told",
  [
    ("h100:none", "h100:N is N of these GPUs"),
    ("h100:0", "h100:N is N of these GPUs"),
    ("h100", f"pip install jax-cuda12-pjrt=={jax.__version__} nvidia-cuda-nvcc-cu12"),
  ],
)
def test_what_is_missing_for_a_gpu_is_said(monkeypatch, topology, told):
  monkeypatch.setattr(devices, "_is_installed", lambda module: False)
  devices.devices_of.cache_clear()
  with pytest.raises(ValueError) as raised:
    devices.devices_of(topology)
  assert told in str(raised.value)
  devices.devices_of.cache_clear()


def test_a_missing_assembler_is_said(monkeypatch):
  class Lowered:
    def as_text(self):
      return ""

    def compile(self):
      raise jax.errors.JaxRuntimeError("UNAVAILABLE: No PTX compilation provider is available.")

  monkeypatch.setattr(Prepared, "lower", lambda self: Lowered())
  mesh = sharding.make_mesh("fsdp:1", jax.devices()[:1])
  program = Prepared(None, (), (), mesh, 0.0, 1, 1, 0, 0)
  with pytest.raises(ValueError, match="pip install nvidia-cuda-nvcc-cu12"):
    compiled(program)


MODEL = {
  "model_type": "qwen2",
  "hidden_size": 64,
  "intermediate_size": 128,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "vocab_size": 256,
  "max_position_embeddings": 512,
}
WORKLOAD = Workload(prefix=64, prompt=16, answer=16, row_tokens=256, lanes=4)


@pytest.mark.parametrize("installed, warned", [("0.0.42.1", False), ("0.0.52", True)])
def test_a_libtpu_of_another_jax_is_told(monkeypatch, installed, warned):
  monkeypatch.setattr(importlib.metadata, "version", lambda package: installed)
  wanted = ["jaxlib<=0.10.2", 'libtpu==0.0.42.*; extra == "tpu"']
  monkeypatch.setattr(importlib.metadata, "requires", lambda package: wanted)
  with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    devices._warn_of_another_libtpu()
  assert [str(each.message).endswith('pip install "libtpu==0.0.42.*"') for each in told] == (
    [True] if warned else []
  )


@pytest.fixture(scope="module")
def h100():
  if not any(map(devices._is_installed, devices._GPU_PLUGINS)):
    pytest.skip("JAX's plugin for NVIDIA GPUs is not installed")
  return sharding.make_mesh("fsdp:1", devices.devices_of("h100"))


def test_an_update_is_compiled_for_a_gpu_with_its_kernels(h100):
  config = ModelConfig.from_hf(MODEL, dtype="bfloat16", remat="none")
  program = prepare("sft", config, h100, WORKLOAD)
  report = describe(program, compiled(program), 256, 2)
  products, _ = forward_flops(config, _row(WORKLOAD, False))
  # All products with weights: forward, and twice backward. Attention's are in the kernels.
  assert report["flops"]["in_program_a_chip"] == {"bf16": 3 * products}
  assert report["kernels"] == {"packed_forward": 2, "packed_to_query": 2, "packed_to_keys": 2}
  assert report["chip"] == "NVIDIA H100 80GB HBM3" and report["fits"]
  assert report["launches"]["all"] > 50
  assert 0 < report["launches"]["mfu_one_by_one"] < report["mfu_at_most"]


def test_a_gpu_decodes_with_layers_by_themselves(h100):
  config = ModelConfig.from_hf(MODEL, dtype="bfloat16")
  program = prepare("decode", config, h100, WORKLOAD)
  report = describe(program, compiled(program), 256, 2)
  # All products of a token, scores over the whole lengths instead of half of the answer's.
  assert report["flops"]["by_formula"] <= report["flops"]["in_program_a_chip"]["bf16"]
  assert program.beside == sum(
    x.size * 2 for x in jax.tree.leaves(program.arguments[1]["params"]["layers"])
  )
  # q, k and v are one product, gate and up too; two of o and down, and attention's.
  assert report["launches"]["by_kind"]["cublas"] <= 2 * 8 + 1
