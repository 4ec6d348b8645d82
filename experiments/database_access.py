"""Flags of the launch scripts that open databases: what a model's SQL may do there that it may not
by default.
"""

from __future__ import annotations

import launch

from absl import flags  # isort: skip

from spftsql_jax.databases import permissions

_ALLOW_SUPERUSER = flags.DEFINE_bool(
  "allow_superuser",
  False,
  "Use PostgreSQL as a superuser, or as a role with rights on the server's files, all the same.",
)
_ALLOW_FUNCTIONS = flags.DEFINE_list(
  "allow_functions",
  [],
  "PostgreSQL functions of your own that a query may call, by the names that the catalog has.",
)


def _apply() -> None:
  permissions.allow(
    _ALLOW_SUPERUSER.value or permissions.superuser_allowed(), _ALLOW_FUNCTIONS.value
  )


launch.before_main(_apply)
