"""What compiled programs multiply and send, and what they need of chips that are not there."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from on_devices import run_on_devices

from spftsql_jax.ahead import compiled as compiling
from spftsql_jax.ahead import optimized as optimizing
from spftsql_jax.ahead import programs
from spftsql_jax.ahead.compiled import compiled
from spftsql_jax.ahead.faults import faults
from spftsql_jax.ahead.hlo import Shape, read_program
from spftsql_jax.ahead.programs import Prepared, Workload, prepare
from spftsql_jax.ahead.report import describe
from spftsql_jax.ahead.work import count_work
from spftsql_jax.models import LoraConfig, ModelConfig, sharding
from spftsql_jax.models.chips import Chip, chip_of
from spftsql_jax.models.transformer import abstract_params

# As a TPU's compiler writes them: a loop that gathers a layer's weights while it multiplies, in
# three instructions of one channel, and a kernel.
LOOP = """HloModule jit_step, is_scheduled=true

%gathered (p.1: bf16[1,8,4]) -> bf16[1,8,16] {
  %p.1 = bf16[1,8,4]{2,1,0:T(8,128)(2,1)} parameter(0)
  ROOT %g = bf16[1,8,16]{2,1,0:T(8,128)(2,1)} all-gather(%p.1), channel_id=7, replica_groups=[2,4]<=[8], dimensions={2}, metadata={op_name="jit(step)/layers/gate"}
}

%gathered.again (p.2: bf16[1,8,4]) -> bf16[1,8,16] {
  %p.2 = bf16[1,8,4]{2,1,0} parameter(0)
  ROOT %g.2 = bf16[1,8,16]{2,1,0} all-gather(%p.2), channel_id=7, replica_groups=[2,4]<=[8], dimensions={2}
}

%body (s: (s32[], bf16[32,8], bf16[1,8,4], /*index=3*/f32[16])) -> (s32[], bf16[32,8], bf16[1,8,4], f32[16]) {
  %s = (s32[]{:T(128)}, bf16[32,8]{1,0}, bf16[1,8,4]{2,1,0}, /*index=3*/f32[16]{0}) parameter(0)
  %x = bf16[32,8]{1,0} get-tuple-element(%s), index=1
  %w = bf16[1,8,4]{2,1,0} get-tuple-element(%s), index=2
  %start = bf16[1,8,16]{2,1,0} fusion(%w), kind=kCustom, calls=%gathered
  %done = bf16[1,8,16]{2,1,0} fusion(%w), kind=kCustom, calls=%gathered.again
  %flat = bf16[8,16]{1,0} bitcast(%done)
  %y = bf16[32,16]{1,0} convolution(%x, %flat), dim_labels=bf_io->bf, metadata={op_name="jit(step)/layers/gate/dot_general"}
  %r = f32[16]{0} all-reduce(%y), channel_id=9, replica_groups={{0,1},{2,3}}, to_apply=%add
  %k = bf16[32,8]{1,0} custom-call(%y), custom_call_target="tpu_custom_call"
  %i.1 = s32[]{:T(128)} get-tuple-element(%s), index=0
  %one = s32[]{:T(128)} constant(1)
  %i.2 = s32[]{:T(128)} add(%i.1, %one)
  ROOT %t = (s32[], bf16[32,8], bf16[1,8,4], f32[16]) tuple(%i.2, %k, %w, %r)
}

%condition (s.2: (s32[], bf16[32,8], bf16[1,8,4], f32[16])) -> pred[] {
  %six = s32[]{:T(128)} constant(6)
  %s.2 = (s32[], bf16[32,8], bf16[1,8,4], f32[16]) parameter(0)
  %i = s32[] get-tuple-element(%s.2), index=0
  ROOT %lt = pred[] compare(%i, %six), direction=LT
}

ENTRY %main (a: bf16[32,8]) -> bf16[32,8] {
  %a = bf16[32,8]{1,0} parameter(0)
  %l = (s32[], bf16[32,8], bf16[1,8,4], f32[16]) while(%a), condition=%condition, body=%body
  ROOT %o = bf16[32,8]{1,0} get-tuple-element(%l), index=1
}
"""  # noqa: E501


def test_a_loop_s_work_counts_as_often_as_it_goes_around():
  program = read_program(LOOP)
  assert program.entry == "main" and len(program.computations) == 5
  start = program.computations["body"][3]
  assert start.called("calls") == ("gathered",) and start.shapes == (Shape("bf16", (1, 8, 16)),)
  work = count_work(program)
  assert work.flops() == {"bf16": 6 * 2 * 32 * 8 * 16} and work.unknown_loops == 0
  gathered, reduced = work.collectives
  assert (gathered.kind, gathered.group, gathered.times) == ("all-gather", 4, 6)
  assert gathered.source == "jit(step)/layers/gate"
  # Of 256 bytes three quarters come from others, six times; of 64 all but half, twice.
  assert work.sent() == {"all-gather": 6 * 192.0, "all-reduce": 6 * 64.0}
  assert work.kernels == {"tpu_custom_call": 6}


@pytest.mark.parametrize("step, turns", [("constant(2)", 3), ("constant(4)", 2)])
def test_a_loop_that_takes_several_at_once_goes_around_less_often(step, turns):
  # As a compiler leaves them that gathers the next part while it multiplies this one.
  work = count_work(read_program(LOOP.replace("constant(1)", step)))
  assert work.kernels == {"tpu_custom_call": turns} and work.unknown_loops == 0


def test_what_a_kernel_says_of_itself_over_several_lines_ends_no_computation():
  told = (
    'custom_call_target="tpu_custom_call", frontend_attributes={kernel_metadata={\n"q": 512\n}}'
  )
  text = LOOP.replace('custom_call_target="tpu_custom_call"', told)
  assert text.count("\n}}\n") == 1 and count_work(read_program(text)) == count_work(
    read_program(LOOP)
  )


def test_an_instruction_in_no_computation_is_no_program():
  with pytest.raises(ValueError, match="in no computation: %lost"):
    read_program(LOOP + "  %lost = f32[2] parameter(0)\n")


@pytest.mark.parametrize("name", ["constant(6)", "constant(1)"])
def test_a_loop_whose_length_stands_in_data_is_told(name):
  work = count_work(read_program(LOOP.replace(name, "parameter(1)")))
  assert work.unknown_loops == 1 and work.flops() == {"bf16": 2.0 * 32 * 8 * 16}


@pytest.mark.parametrize(
  "shapes, opcode, operands, gathered",
  [
    ("(f32[2,8], f32[4,8])", "all-gather-start", "%a", 128),
    ("(f32[2,8], f32[2,2], f32[4,8], f32[4,2])", "all-gather-start", "%a, %b", 160),
    # Of a sum both arrays are what comes of it.
    ("(f32[2,8], f32[2,2])", "all-reduce-start", "%a, %b", 80),
    ("(f32[2,8], f32[2,8], u32[], u32[])", "collective-permute-start", "%a", 64),
  ],
)
def test_of_what_is_started_the_result_counts(shapes, opcode, operands, gathered):
  text = (
    "ENTRY %main (a: f32[2,8]) -> f32[2,8] {\n  %a = f32[2,8] parameter(0)\n"
    "  %b = f32[2,2] parameter(1)\n"
    f"  ROOT %c = {shapes} {opcode}({operands}), channel_id=1, replica_groups=[1,2]<=[2]\n}}\n"
  )
  [found] = count_work(read_program(text)).collectives
  assert found.bytes == gathered and found.kind == opcode.removesuffix("-start")


@pytest.mark.parametrize(
  "shapes, attributes, multiplied",
  [
    # A product over a batch of 4, written as a convolution over holes.
    (
      ("[4,8,16]", "[4,8,5]", "[4,16,5]"),
      "window={size=4 stride=3 lhs_dilate=4}, dim_labels=0bf_0oi->0bf",
      4 * 8 * 5 * 16,
    ),
    # The same over two axes without holes: a window over all of them.
    (
      ("[1,1,2,3]", "[4,5,2,1]", "[4,5,3,1]"),
      "window={size=4x5}, dim_labels=01bf_01oi->01bf",
      4 * 5 * 2 * 3,
    ),
    (("[6,8,4]", "[6,8,4]", "[3,4,4]"), "window={size=3 pad=1_1}, dim_labels=0bf_0io->0bf", 2048),
  ],
)
def test_of_a_convolution_what_meets_a_value_counts(shapes, attributes, multiplied):
  out, left, right = shapes
  text = (
    f"ENTRY %main (a: f32{left}) -> f32{out} {{\n  %a = f32{left} parameter(0)\n"
    f"  %b = f32{right} parameter(1)\n"
    f"  ROOT %c = f32{out} convolution(%a, %b), {attributes}\n}}\n"
  )
  assert count_work(read_program(text)).flops() == {"f32": 2.0 * multiplied}


def test_what_this_machine_s_compiler_makes_is_read_too():
  def layers(x, weights):
    return jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), x, weights)[0]

  compiled = jax.jit(layers).lower(jnp.ones((24, 16)), jnp.ones((5, 16, 16))).compile()
  work = count_work(read_program(compiled.as_text()))
  assert work.flops() == {"f32": 5 * 2 * 24 * 16 * 16} and not work.collectives


def test_no_program_no_report():
  with pytest.raises(ValueError, match="no ENTRY"):
    read_program("module {}")


@pytest.mark.parametrize(
  "kind, gib", [("TPU v5 lite", 16), ("TPU v5p", 95), ("TPU v6 lite", 32), ("NVIDIA H200", 131)]
)
def test_chips_are_known_by_how_their_kind_begins(kind, gib):
  assert chip_of(kind).memory_gib == gib
  assert chip_of("cpu") is None


@pytest.fixture(scope="module")
def config():
  values = {"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64}
  values |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
  return ModelConfig.from_hf(values | {"vocab_size": 96, "max_position_embeddings": 512})


WORKLOAD = Workload(prefix=32, prompt=8, answer=8, row_tokens=128, lanes=4)


@pytest.mark.parametrize("step, examples", [("sft", 6), ("self_play", 4), ("decode", 4)])
def test_programs_are_lowered_without_weights(config, step, examples):
  mesh = sharding.make_mesh("fsdp:1", jax.devices()[:1])
  found = prepare(step, config, mesh, WORKLOAD, LoraConfig(rank=2, alpha=4.0))
  assert found.examples == examples and found.flops > 0
  assert (found.trained > 0) == (step != "decode")
  assert "stablehlo" in found.lower().as_text()[:4000]


HEADS_THAT_ARE_CUT = """
import json
from spftsql_jax.ahead.compiled import compiled
from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.programs import STEPS, Workload, prepare
from spftsql_jax.ahead.work import count_work
from spftsql_jax.models import LoraConfig, ModelConfig, sharding

values = {"model_type": "qwen3", "hidden_size": 32, "intermediate_size": 64, "head_dim": 8}
values |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
config = ModelConfig.from_hf(values | {"vocab_size": 96, "max_position_embeddings": 512})
workload = Workload(prefix=32, prompt=8, answer=8, row_tokens=128, lanes=4, decoded_rows=0)
mesh = sharding.make_mesh("data:2,tensor:2")
found = {}
for step in STEPS:
  program = prepare(step, config, mesh, workload, LoraConfig(rank=2, alpha=4.0))
  work = count_work(read_program(compiled(program).text))
  found[step] = [c.source for c in work.collectives if "attention.project" in c.source]
print(json.dumps(found))
"""


def test_heads_that_a_mesh_cuts_are_not_sent_around_before_they_are_used():
  # Queries and keys side by side would be cut anew, in each layer and token. That of what they are
  # computed from the gradients are added up, over all parts, is left.
  found = json.loads(run_on_devices(HEADS_THAT_ARE_CUT, 4))
  assert set(found) == {"sft", "self_play", "prefill", "decode"}
  sent = {step: [s for s in sources if "transpose" not in s] for step, sources in found.items()}
  assert not any(sent.values()), sent


@pytest.mark.parametrize("gib, apart", [(1, True), (1e-4, False), (None, False)])
def test_layers_are_read_by_themselves_where_a_chip_has_room(config, monkeypatch, gib, apart):
  monkeypatch.setattr(programs, "chip_of", lambda kind: gib and Chip("cpu", gib, 1e12, 1e12, 0, 0))
  mesh = sharding.make_mesh("fsdp:1", jax.devices()[:1])
  found = prepare("decode", config, mesh, WORKLOAD)
  stacked = sum(
    leaf.size * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(nn.meta.unbox(abstract_params(config))["layers"])
  )
  assert found.beside == (stacked if apart else 0)
  assert len(found.arguments[2] or ()) == (config.num_hidden_layers if apart else 0)


@pytest.fixture(scope="module")
def prefill(config):
  """A prefill on one CPU, compiled."""
  program = prepare("prefill", config, sharding.make_mesh("fsdp:1", jax.devices()[:1]), WORKLOAD)
  return program, compiled(program)


def test_the_report_of_a_prefill_has_the_operations_of_its_formula(prefill):
  report = describe(*prefill, 96, 2)
  counted = sum(report["flops"]["in_program_a_chip"].values())
  # All scores of the first layer are computed, of which the formula has those that are seen.
  unseen = 32 * 32 - 32 * 33 / 2
  assert counted == report["flops"]["by_formula"] + 4 * unseen * 2 * 16
  assert report["fits"] is None and report["sent_a_chip"]["bytes"] == {}


def test_what_a_program_reads_is_no_more_than_the_compiler_finds(prefill):
  program, made = prefill
  assert 0.5 * made.memory["arguments"] < program.bytes_a_chip() <= made.memory["arguments"]


def test_a_program_is_compiled_once_and_kept(prefill, tmp_path, monkeypatch):
  program, made = prefill
  first = compiled(program, tmp_path)
  lowered = program.lower()
  assert first.text == made.text and len(list(tmp_path.iterdir())) == 1

  class Lowered:
    def as_text(self):
      return lowered.as_text()

    def compile(self):
      raise AssertionError("compiled again")

  monkeypatch.setattr(Prepared, "lower", lambda self: Lowered())
  assert compiled(program, tmp_path) == first
  [path] = tmp_path.iterdir()
  path.write_bytes(path.read_bytes()[:-9])
  with pytest.raises(AssertionError, match="compiled again"):
    compiled(program, tmp_path)


def test_programs_for_chips_that_only_their_kind_tells_apart_are_kept_apart(prefill):
  @dataclasses.dataclass
  class Device:
    device_kind: str = dataclasses.field(repr=False)
    platform: str = "tpu"

  @dataclasses.dataclass
  class Slice:
    devices: np.ndarray

  lowered = SimpleNamespace(as_text=lambda: "module")
  slices = [Slice(np.array([Device(kind)])) for kind in ("TPU v5 lite", "TPU v6 lite")]
  programs_ = [dataclasses.replace(prefill[0], mesh=each) for each in slices]
  assert str(slices[0]) == str(slices[1])
  assert len({compiling._name(program, lowered) for program in programs_}) == 2


CHIP = Chip("cpu", 1, 1e12, 1e12, 1e9, usd_an_hour=3.6)
GATHER = """ENTRY %main (a: bf16[{a}]) -> bf16[{b}] {{
  %a = bf16[{a}] parameter(0)
  ROOT %g = bf16[{b}] all-gather(%a), channel_id=1, replica_groups=[1,2]<=[2], dimensions={{1}}, metadata={{op_name="jit(step)/layers"}}
}}
"""  # noqa: E501


@pytest.mark.parametrize(
  "sizes, links, told",
  [
    # Two layers' weights at once, and the same of one of three layers.
    (("2,512,1024", "2,1024,1024"), 1e9, "gathers all layers at once: jit(step)/layers"),
    (("3,512,1024", "3,1024,1024"), 1e9, None),
    # As long as the vocabulary: all of what is sent, and of the time.
    (("48,1024", "96,1024"), 1e9, "vocabulary is 100% of its least time"),
    (("48,1024", "96,1024"), 1e18, None),
    (("48,1024", "96,1024"), 0, "vocabulary is 100% of what it sends"),
  ],
)
def test_whole_stacks_and_a_vocabulary_that_costs_much_are_faults(prefill, sizes, links, told):
  made = dataclasses.replace(prefill[1], text=GATHER.format(a=sizes[0], b=sizes[1]))
  chip = dataclasses.replace(CHIP, links=links)
  report = describe(prefill[0], made, 96, 2, [chip]) | {"step": "prefill"}
  report |= {"topology": "cpu:2", "compiled": True}
  assert faults(report, checked=False) == []
  assert [told in fault for fault in faults(report, checked=True)] == ([True] if told else [])


def test_what_does_not_fit_is_a_fault_and_what_it_costs_comes_from_the_price(prefill):
  made = dataclasses.replace(prefill[1], memory={"arguments": 2 << 30, "temporary": 0, "output": 0})
  report = describe(prefill[0], made, 96, 2, [CHIP]) | {"step": "prefill"}
  report |= {"topology": "cpu:1", "compiled": True}
  [told] = faults(report, checked=False)
  assert "prefill on cpu:1 needs 2.0 GiB of each chip's 1" in told
  # 2 GiB at 1e12 bytes a second, at a thousandth of a dollar a second, for the 4 lanes of a schema.
  assert report["usd_for_1000_examples_at_least"] == pytest.approx(
    (2 << 30) / 1e12 * 0.001 / 4 * 1000, rel=1e-3
  )


def test_what_does_not_fit_in_a_row_is_named(config):
  mesh = sharding.make_mesh("fsdp:1", jax.devices()[:1])
  with pytest.raises(ValueError, match="a row of 32 tokens does not hold"):
    prepare("sft", config, mesh, Workload(prefix=32, prompt=8, answer=8, row_tokens=32))


# As a TPU's compiler writes where buffers lie: color 1 is no main memory.
BUFFERS = """BufferAssignment:
allocation 0: size 512, thread-local:
 value: <524 add.3446 @0> (size=512,offset=0): bf16[]{:T(256)}
allocation 1: size 4096, parameter 0, shape |bf16[2,1024]| at ShapeIndex {}:
 value: <23369 param.67 @0> (size=4096,offset=0): bf16[2,1024]{1,0:T(8,128)(2,1)}
allocation 2: size 8192, parameter 25, shape |bf16[4,1024]| at ShapeIndex {}, maybe-live-out:
allocation 3: size 64, output shape is |(f32[16], /*index=1*/bf16[4,1024])|, maybe-live-out:
allocation 4: size 3000, preallocated-temp:
allocation 5: size 117440512, color 1, preallocated-temp:
"""


def test_what_is_given_away_holds_its_result_and_other_memory_does_not_count():
  found = optimizing.memory_of(BUFFERS)
  assert found == {"arguments": 4096 + 8192, "temporary": 512 + 3000, "output": 64}


@pytest.fixture
def recipe(config):
  return optimizing.Recipe("prefill", config, "cpu:1", "fsdp:1", WORKLOAD, None, None)


def test_what_is_optimized_in_a_process_of_its_own_is_what_is_compiled(recipe, monkeypatch):
  # A CPU's compiler writes the same under other names, the memory in use last.
  monkeypatch.setattr(optimizing, "_TEXT", ".cpu_after_optimizations.txt")
  monkeypatch.setattr(optimizing, "_BUFFERS", ".cpu_after_optimizations-buffer-assignment.txt")
  monkeypatch.setattr(optimizing, "_LAST", ".cpu_after_optimizations-memory-usage-report.txt")
  program = recipe.prepare()
  whole, found = compiled(program), compiled(program, recipe=recipe)
  assert count_work(read_program(found.text)) == count_work(read_program(whole.text))
  assert found.memory["arguments"] == whole.memory["arguments"] and "code" not in found.memory
  assert found.memory["output"] == whole.memory["output"]
  assert 0 <= found.memory["temporary"] - whole.memory["temporary"] < 4096


def test_a_program_that_cannot_be_optimized_is_told(recipe):
  # A CPU's compiler never writes what a TPU's does.
  with pytest.raises(RuntimeError, match="cpu:1 fsdp:1 prefill: it ended with 0"):
    optimizing.optimized(recipe)
  with pytest.raises(RuntimeError, match="cpu:1 wide:1 prefill: mesh .* is not AXIS:SIZE"):
    optimizing.optimized(dataclasses.replace(recipe, mesh="wide:1"))
