"""One call from an unlabelled database to a specialised model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.databases.schema_view import seen_through
from spftsql_jax.pipeline.codec import Json
from spftsql_jax.pipeline.run import run
from spftsql_jax.pipeline.specialize.budget import speed_of, within
from spftsql_jax.pipeline.specialize.overview import found_lines, log_lines, plan_lines, speed_line
from spftsql_jax.pipeline.specialize.settings import Settings, make_config


def specialize(
  settings: Settings,
  workdir: str | Path,
  minutes: float | None = None,
  say: Callable[[str], None] = print,
) -> dict[str, Json]:
  """Specialises a model on a database, or goes on where a call with the same settings was cut off.

  Says first what it found and what it will do. Nothing is written but in `workdir`.

  Args:
    minutes: chooses rounds and steps so that the run takes so long; by default the settings' are
      taken as they are.
    say: prints a line.

  Returns:
    The results (results.json).

  Raises:
    DatabaseError, ValueError, FileNotFoundError: bad input; see `run`.
  """
  if settings.base_model and not Path(settings.base_model).is_dir():
    raise FileNotFoundError(f"{settings.base_model}: no such model folder (--base_model)")
  schema = seen_through(settings.view, read_schema(settings.location))
  for line in found_lines(settings.location, schema):
    say(line)
  if settings.query_log:
    share = make_config(settings).synthesis.pool_share
    for line in log_lines(settings.query_log, settings.location, settings.view, share):
      say(line)
  if minutes is not None:
    say("Measuring how fast this machine is: some examples, training steps and answers")
    speed = speed_of(make_config(settings), Path(workdir), minutes)
    settings = within(settings, minutes, speed)
    say(f"  measured in {speed.measuring / 60:.1f} minutes, which count")
    say(speed_line(make_config(settings), speed))
  config = make_config(settings)
  for line in plan_lines(config):
    say(line)
  results = run(config, workdir, say=say)
  say(
    f"Ask it: python experiments/ask.py --model={workdir} "
    f'--database="{without_password(settings.location)}" "YOUR QUESTION"'
  )
  return results
