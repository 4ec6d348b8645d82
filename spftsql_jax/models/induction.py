"""Random weights that copy: induction heads from the first update.

A model that writes SQL copies names and values from its prompt. From random weights heads that do
so form late, behind more tokens than a small pretraining has. Here they are there at the start
(Elhage et al. 2021, https://transformer-circuits.pub/2021/framework; Olsson et al. 2022,
arXiv 2209.11895), and training makes of them what it needs:

  - in layer 0, heads that look one, two, ... tokens back. Query and key are constants (biases), of
    which RoPE makes a function of the distance alone. They write what they see beside the token;
  - in the layers behind it, heads that look for a place whose token before is the present token
    (match), and write the token of that place as the next one (copy);
  - in the same layers, heads that look for a place of the same token: a word of the question among
    the names of the schema.

The rest of the weights is random as ever. Embeddings have unit variance, as wide as what layers
write into the stream, so that what a token is does not drown in the first updates.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.transformer import Params, init_params

# What the head of the vocabulary is of the embedding.
_HEAD = 0.04
# Logits by which the token looked for stands out, in look-back and in matching heads.
_BACK_LOGITS = 6.0
_MATCH_LOGITS = 40.0
# What look-back and copying heads write, as a multiple of what they read.
_BACK_GAIN = 1.25
_COPY_GAIN = 10.0
# Random parts of kernels that hold a circuit, and those that write into a stream of unit variance.
_BESIDE = 0.1
_OUTPUTS = 2.5
# Layers behind the first that match.
_MATCHING_LAYERS = 2
# A dimension whose RoPE turns less than one radian over so many tokens matches content, not place.
_REACH = 300


def induction_params(config: ModelConfig, rng: jax.Array) -> Params:
  """Random params with induction heads.

  Raises:
    ValueError: a model without biases of queries and keys, with one layer, with a tied head, or
      with RoPE too fast for content to be matched.
  """
  half = config.head_dim // 2
  # Radians a token, [half].
  turns = config.rope_theta ** (-np.arange(half) / half)
  slow = np.flatnonzero(turns * _REACH < 1.0)
  if (
    not config.attention_bias
    or config.tie_word_embeddings
    or config.num_hidden_layers < 2
    or not len(slow)
  ):
    raise ValueError(
      "induction heads need biases of queries and keys (qwen2), tie_word_embeddings false, two "
      f"layers and a rope_theta far above {_REACH}; set these in hf_config"
    )
  params = jax.tree.map(np.array, init_params(config, rng))
  generator = np.random.default_rng(np.asarray(jax.random.key_data(rng)))
  draw = _Directions(generator, config.hidden_size, config.head_dim)
  params["embedding"] /= config.initializer_range
  params["lm_head"] = _HEAD * params["embedding"]
  attention, mlp = params["layers"]["attention"], params["layers"]["mlp"]
  attention["o"]["kernel"] *= _OUTPUTS
  mlp["down"]["kernel"] *= _OUTPUTS
  read = draw.frame()
  written = _look_back(attention, config, turns, read, draw)
  for layer in range(1, min(1 + _MATCHING_LAYERS, config.num_hidden_layers)):
    _match(attention, config, layer, np.r_[slow, slow + half], (read, written), draw)
  return jax.tree.map(jnp.asarray, params)


class _Directions:
  """Draws orthonormal frames of the residual stream, [D, H]."""

  def __init__(self, generator: np.random.Generator, width: int, head: int):
    self._generator, self._width, self._head = generator, width, head

  def frame(self) -> np.ndarray:
    drawn = self._generator.standard_normal((self._width, self._head), np.float32)
    return np.linalg.qr(drawn)[0]

  def order(self, count: int) -> np.ndarray:
    """So many of a frame's columns, in random order."""
    return self._generator.permutation(self._head)[:count]


def _look_back(
  attention: Params, config: ModelConfig, turns: np.ndarray, read: np.ndarray, draw: _Directions
) -> np.ndarray:
  """Makes the heads of the first group of layer 0 look 1, 2, ... tokens back.

  Returns:
    The frame that the first of them, which looks one back, writes into: [D, H].
  """
  size, half = config.head_dim, config.head_dim // 2
  used, gap = _fast_turns(turns, config.max_position_embeddings)
  strength = np.zeros(half)
  strength[:used] = np.sqrt(_BACK_LOGITS * np.sqrt(size) / gap / used)
  group = config.num_attention_heads // config.num_key_value_heads
  attention["k"]["kernel"][0][:, :size] *= _BESIDE
  attention["k"]["bias"][0][:size] = np.r_[strength, np.zeros(half)]
  attention["v"]["kernel"][0][:, :size] = read
  frames = []
  for back in range(1, group + 1):
    at = slice((back - 1) * size, back * size)
    phase = -back * turns
    attention["q"]["kernel"][0][:, at] *= _BESIDE
    attention["q"]["bias"][0][at] = np.r_[strength * np.cos(phase), strength * np.sin(phase)]
    frames.append(draw.frame())
    attention["o"]["kernel"][0][at] = _BACK_GAIN * frames[-1].T
  return frames[0]


def _fast_turns(turns: np.ndarray, longest: int) -> tuple[int, float]:
  """(how many of the fastest dimensions tell a distance from all others best, by how much: the
  least loss of their mean cosine at another distance).
  """
  away = np.arange(1, longest)[:, None]
  losses = np.cumsum(1 - np.cos(away * turns), axis=1) / np.arange(1, len(turns) + 1)
  least = losses.min(axis=0)
  return int(least.argmax()) + 1, float(least.max())


def _match(
  attention: Params,
  config: ModelConfig,
  layer: int,
  dims: np.ndarray,
  frames: tuple[np.ndarray, np.ndarray],
  draw: _Directions,
) -> None:
  """Makes the first head of `layer` match and copy, the others of its group match, and those of the
  second group, where there is one, find the same token.
  """
  size, group = config.head_dim, config.num_attention_heads // config.num_key_value_heads
  read, written = frames
  # Frames' columns that queries and keys compare in the dims that RoPE hardly turns.
  chosen = draw.order(len(dims))
  scale = np.sqrt(_MATCH_LOGITS * np.sqrt(size) / len(dims))
  same = draw.frame()
  query, key = attention["q"]["kernel"][layer], attention["k"]["kernel"][layer]
  for number, (seen, held) in enumerate([(read, written), (same, same)]):
    if number == config.num_key_value_heads:
      break
    first = number * size
    key[:, first : first + size] *= _BESIDE
    key[:, first + dims] += scale * held[:, chosen]
    for head in range(number * group, (number + 1) * group):
      query[:, head * size : (head + 1) * size] *= _BESIDE
      query[:, head * size + dims] += scale * seen[:, chosen]
  token = draw.frame()
  attention["v"]["kernel"][layer][:, :size] = token
  attention["o"]["kernel"][layer][:size] = _COPY_GAIN * token.T
