"""The `inflect` engine, imported without its run-time type checks.

inflect rewrites each of its functions to check the types of its arguments while it is imported, which takes seconds that every
worker process would spend again; what is passed to it here is always a string.
"""

from __future__ import annotations

from unittest import mock

import typeguard

with mock.patch.object(typeguard, "typechecked", lambda function: function):
  import inflect

ENGINE = inflect.engine()
