"""A GPU in the form in which XLA's compiler is told of one that is not there: the text of a
`stream_executor.GpuTargetConfigProto`.
"""

from __future__ import annotations

from spftsql_jax.models.chips import chip_of
from spftsql_jax.models.gpus import Gpu

# Of all NVIDIA GPUs since 2017: what a block of threads may have, and registers.
_OF_ALL = {
  "threads_per_block_limit": 1024,
  "threads_per_warp": 32,
  "shared_memory_per_block": 48 << 10,
  "block_dim_limit_x": (1 << 31) - 1,
  "block_dim_limit_y": (1 << 16) - 1,
  "block_dim_limit_z": (1 << 16) - 1,
  "thread_dim_limit_x": 1024,
  "thread_dim_limit_y": 1024,
  "thread_dim_limit_z": 64,
  "registers_per_core_limit": 1 << 16,
  "registers_per_block_limit": 1 << 16,
}
# Of cuDNN: the compiler leaves out what an old one lacks.
_CUDNN = "major: 9 minor: 10 patch: 0"


def target_config(gpu: Gpu) -> str:
  """The text for a GPU whose memory is in the table of chips."""
  chip = chip_of(gpu.device_kind)
  if chip is None:
    raise ValueError(f"the table of chips has no {gpu.device_kind!r}")
  major, minor = gpu.capability
  special = "ACCELERATED_FEATURES" if gpu.compute_capability.endswith("a") else "NONE"
  figures = _OF_ALL | {
    "core_count": gpu.cores,
    "fpus_per_core": gpu.float32_units_a_core,
    "threads_per_core_limit": gpu.threads_a_core,
    "shared_memory_per_core": gpu.shared_memory_a_core,
    "shared_memory_per_block_optin": gpu.shared_memory_a_block,
    "l2_cache_size": gpu.l2_cache,
    "clock_rate_ghz": gpu.clock_ghz,
    "memory_bandwidth": int(chip.memory),
    "device_memory_size": int(chip.memory_gib * (1 << 30)),
  }
  lines = [f"  {name}: {value}" for name, value in figures.items()]
  capability = f"major: {major} minor: {minor} feature_extension: {special}"
  return "\n".join(
    [
      "gpu_device_info {",
      *lines,
      f"  cuda_compute_capability {{ {capability} }}",
      f'  name: "{gpu.device_kind}"',
      "}",
      'platform_name: "CUDA"',
      f"dnn_version_info {{ {_CUDNN} }}",
      f'device_description_str: "{gpu.device_kind}"',
      "",
    ]
  )
