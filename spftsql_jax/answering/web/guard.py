"""Who may ask: the names the page goes by, the pages that may send requests, and the token.

A page elsewhere can have a browser send requests here, and can let its own name point here (DNS
rebinding). Hence requests must name this server by a name that it goes by (Host), must not come
from another page (Origin, Sec-Fetch-Site), and need a token where other machines reach the server.
Nothing is loaded from elsewhere (Content-Security-Policy).
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spftsql_jax.answering.web.address import Address

HEADERS = {
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
  ),
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-store",
}


class Guard:
  """ASGI middleware that refuses what is not asked by the page, or by a program of the user's."""

  def __init__(self, app: ASGIApp, address: Address) -> None:
    self._app = app
    self._address = address
    self._session = secrets.token_urlsafe(32)
    # Cookies are shared by all ports of a name.
    self._cookie = f"spftsql-{address.port or secrets.token_hex(4)}"

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request itself or passes it on."""
    if scope["type"] == "lifespan":
      return await self._app(scope, receive, send)
    if scope["type"] != "http":
      raise ValueError(f"no {scope['type']} is served here")

    async def with_headers(message: Message) -> None:
      if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
          headers[name] = value
      await send(message)

    request = Request(scope)
    refusal = _refusal(request.headers, request.method, request.url.path, self._address)
    answer = refusal or self._check_token(request)
    await (answer or self._app)(scope, receive, with_headers)

  def _check_token(self, request: Request) -> Response | None:
    if not self._address.token:
      return None
    if _same(request.cookies.get(self._cookie, ""), self._session):
      return None
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), self._address.token):
      return None
    asked_for_page = request.method == "GET" and request.url.path == "/"
    if asked_for_page and _same(request.query_params.get("token", ""), self._address.token):
      # On to the address without the token, which stays out of history and log.
      answer = RedirectResponse("/", 303)
      answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
      return answer
    if asked_for_page or request.url.path.startswith("/static/"):
      request.scope["needs_token"] = True  # The page asks for it; its style and script are public.
      return None
    return JSONResponse({"error": "a token is needed: open the page with ?token=TOKEN"}, 401)


def _same(given: str, wanted: str) -> bool:
  return hmac.compare_digest(given.encode(), wanted.encode())


def _refusal(headers: Headers, method: str, path: str, address: Address) -> Response | None:
  """What is answered to a request that this page, or a program, did not send."""
  hosts = headers.getlist("host")
  try:
    name = urlsplit(f"//{hosts[0]}").hostname or "" if len(hosts) == 1 else ""
  except ValueError:
    name = ""
  if not name or not address.goes_by(name):
    return JSONResponse({"error": "this server does not go by that name (Host)"}, 421)
  origins = headers.getlist("origin")
  own = {f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()}
  if any(origin.lower() not in own for origin in origins):
    return JSONResponse({"error": "requests of other pages are refused (Origin)"}, 403)
  opened = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
  if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not opened:
    return JSONResponse({"error": "requests of other pages are refused (Sec-Fetch-Site)"}, 403)
  return None
