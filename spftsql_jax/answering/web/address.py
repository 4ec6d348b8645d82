"""Where the page is served, and to whom it is open.

Needs no web library, so that a script can check it before it reads anything.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import secrets
import socket

SHORTEST_TOKEN = 16


@dataclasses.dataclass(frozen=True)
class Address:
  """Where the page is served.

  Attributes:
    host: a name or an address of this machine. port: 0 for a free one.
    token: what a visitor has to know; "" where only this machine reaches the page.
  """

  host: str
  port: int
  token: str = ""

  def __post_init__(self) -> None:
    """Raises ValueError where the page would stand open to other machines."""
    if not self.host or any(c.isspace() or c in "/?#@" for c in self.host):
      raise ValueError(f"--host={self.host}: not the name or address of this machine")
    if self.token and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
      raise ValueError(
        f"--token: at least {SHORTEST_TOKEN} characters of ASCII; for example {_example_token()}"
      )
    if not self.token and not self.is_loopback:
      raise ValueError(
        f"--host={self.host}: other machines reach this address, so --token must be given; for "
        f"example --token={_example_token()}"
      )

  @property
  def is_loopback(self) -> bool:
    """Whether only this machine reaches the address."""
    address = _ip(self.host)
    return address.is_loopback if address else self.host.lower() == "localhost"

  def goes_by(self, name: str) -> bool:
    """Whether a request may name the server so (its Host without the port).

    An address cannot be rebound, a name can: a name must be the server's own.
    """
    name, address = name.lower().rstrip("."), _ip(name)
    if address is not None and address.is_loopback or name == "localhost":
      return self.is_loopback or self._is_any
    if self._is_any:
      own = {socket.gethostname().lower(), socket.getfqdn().lower()}
      return address is not None or name in own
    return name == self.host.lower() or (address is not None and address == _ip(self.host))

  @property
  def _is_any(self) -> bool:
    address = _ip(self.host)
    return address is not None and address.is_unspecified


def _ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
  try:
    return ipaddress.ip_address(name.strip("[]"))
  except ValueError:
    return None


def _example_token() -> str:
  return secrets.token_urlsafe(18)


def listen(address: Address) -> socket.socket:
  """A socket at the address. Raises ValueError where there can be none."""
  family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
  listening = socket.socket(family)
  listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listening.bind((address.host.strip("[]"), address.port))
    listening.listen()
  except (OSError, UnicodeError) as error:
    listening.close()
    why = getattr(error, "strerror", None) or str(error)
    raise ValueError(f"--host={address.host} --port={address.port}: {why}") from error
  return listening
