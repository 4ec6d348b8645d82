"""Serving the page until the process is told to end."""

from __future__ import annotations

import socket
import sys
import threading
from urllib.parse import quote

import uvicorn
from starlette.types import ASGIApp

from spftsql_jax.answering.web.address import Address

_LONGEST_HEADERS = 32_768


def make_server(app: ASGIApp) -> uvicorn.Server:
  """The server of an application: HTTP alone, no log of requests, no header that names it."""
  return uvicorn.Server(
    uvicorn.Config(
      app,
      http="h11",
      ws="none",
      log_config=None,
      access_log=False,
      server_header=False,
      proxy_headers=False,
      lifespan="off",
      h11_max_incomplete_event_size=_LONGEST_HEADERS,
      timeout_graceful_shutdown=1,
    )
  )


def serve(app: ASGIApp, listening: socket.socket, address: Address) -> None:
  """Serves the application until the process is told to end, and says on stderr where.

  Raises RuntimeError where the server ends by itself.
  """
  host = f"[{address.host}]" if ":" in address.host.strip("[]") else address.host
  port = listening.getsockname()[1]
  token = f"?token={quote(address.token, safe='')}" if address.token else ""
  print(f"open http://{host}:{port}/{token} in a browser; Ctrl-C ends", file=sys.stderr, flush=True)
  server = make_server(app)
  # Not in the main thread: there a signal is an exception, which the event loop's handlers swallow.
  thread = threading.Thread(
    target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True
  )
  thread.start()
  try:
    thread.join()
  finally:
    server.should_exit = True
  raise RuntimeError("the server has ended")
