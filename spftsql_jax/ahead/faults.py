"""What is wrong with a program, by its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What collectives over the vocabulary may be of a step.
_VOCABULARY_SHARE = 0.1


def faults(report: Mapping[str, Any], checked: bool) -> list[str]:
  """A line for each fault.

  Args:
    report: of `of_a_model.Programs`.
    checked: whether more than memory counts: that no stack of layers is gathered whole, which every
      chip would have to hold, and that the vocabulary takes no more than a tenth of the step.
  """
  step, found = report["step"], []
  if report["fits"] is False:
    memory = report["gib_a_chip"]
    needed = memory.get("all", memory["arguments"])  # what was not compiled has no more
    found.append(
      f"{step} on {report['topology']} needs {needed} GiB of each chip's "
      f"{memory['there']}: more chips, shorter rows, or an adapter instead of all weights make it "
      "fit"
    )
  if not checked or not report["compiled"]:
    return found
  sent = report["sent_a_chip"]
  if sent["whole_layer_stacks"]:
    found.append(f"{step} gathers all layers at once: {', '.join(sent['whole_layer_stacks'])}")
  share, what = report.get("of_vocabulary_share_of_time"), "is {:.0%} of its least time"
  if share is None:  # Nothing is known of the links.
    share, what = sent["of_vocabulary_share"], "is {:.0%} of what it sends"
  if share > _VOCABULARY_SHARE:
    found.append(f"{step} on {report['topology']}: the vocabulary {what.format(share)}")
  return found
