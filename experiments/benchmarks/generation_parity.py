"""Compares greedy answers of a model folder with those of transformers.generate, token for token,
float32.

    python experiments/benchmarks/generation_parity.py --model=DIR --examples=FILE.json \
      --databases=DIR --output=parity.json

Real prompts of --count questions, drawn by --seed, at the model's own length limit. transformers
answers one question at a time (no padding), so that nothing but the computation differs. Where
answers differ, the gap between the two likeliest tokens at the first difference tells a tie of
rounding from a mistake.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.answering.predict import PromptDatabase, question_request
from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples
from spftsql_jax.files import write_json

_MODEL = flags.DEFINE_string("model", None, "Model folder.", required=True)
_EXAMPLES = flags.DEFINE_string("examples", None, "JSON file of the questions.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folder of the databases.", required=True)
_COUNT = flags.DEFINE_integer("count", 200, "Questions.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the drawing.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)


def main() -> None:
  try:
    import torch
    import transformers
  except ImportError as error:
    raise InputError(
      f"{error.name} is not installed: it is the peer (tests/requirements-parity.txt)"
    ) from error
  examples = read_examples(_EXAMPLES.value)
  examples = random.Random(_SEED.value).sample(examples, min(_COUNT.value, len(examples)))
  databases = {
    d: PromptDatabase.read(find_database(_DATABASES.value, d)) for d in database_ids(examples)
  }
  exported = load_exported(_MODEL.value)
  tokenizer, limit = exported.tokenizer, exported.max_new_tokens
  requests = [
    question_request(tokenizer, databases[e.db_id], e.question, e.evidence) for e in examples
  ]
  answers = exported.generator.generate(
    exported.params, requests, max_new_tokens=limit, eos_id=tokenizer.end_ids
  )
  peer = transformers.AutoModelForCausalLM.from_pretrained(_MODEL.value, dtype=torch.float32).eval()
  same, differences = 0, []
  for index, (request, answer) in enumerate(zip(requests, answers, strict=True)):
    ids = torch.tensor([request.prefix + request.prompt])
    with torch.inference_mode():
      output = peer.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=list(tokenizer.end_ids),
        pad_token_id=tokenizer.pad_id,
        output_logits=True,
        return_dict_in_generate=True,
      )
    theirs = tuple(output.sequences[0, ids.shape[1] :].tolist())
    same += theirs == answer.tokens
    if theirs != answer.tokens:
      pairs = zip(theirs, answer.tokens, strict=False)
      place = next(
        (i for i, (a, b) in enumerate(pairs) if a != b), min(len(theirs), len(answer.tokens)) - 1
      )
      first, second = output.logits[place][0].topk(2).values.tolist()
      differences.append(
        {"question": index, "place": place, "gap_of_the_likeliest_logits": first - second}
      )
  report = {
    "questions": len(examples),
    "identical": same,
    "tokens": sum(len(a.tokens) for a in answers),
    "ended_by_the_end_token": sum(a.status == "stop" for a in answers),
    "differences": differences,
  }
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps(report))


if __name__ == "__main__":
  launch(main)
