"""A headless Chromium to test pages in, spoken to by its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHROMIUM = (
  shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
_WAIT_S = 30.0
# Puts two descriptors onto 3 and 4, by way of copies that are neither, and becomes the browser.
_LAUNCH = """
import fcntl, os, sys
copies = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]]
for copy, wanted in zip(copies, (3, 4)):
  os.dup2(copy, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
  """A browser with one page.

  Attributes:
    messages: what the page wrote to its console or failed with, blocked loads among them.
  """

  def __init__(self, profile: Path):
    assert CHROMIUM is not None
    # The browser reads commands from descriptor 3 and writes answers to descriptor 4.
    commands, self._to = os.pipe()
    self._from, answers = os.pipe()
    flags = (
      "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
      "--disable-component-update --disable-sync --remote-debugging-pipe"
    )
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", "about:blank"]
    self._process = subprocess.Popen(
      [sys.executable, "-c", _LAUNCH, str(commands), str(answers), *command],
      pass_fds=(commands, answers),
      stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    self._buffer = b""
    self._number = 0
    self._session: str | None = None
    self.messages: list[str] = []
    targets = self.call("Target.getTargets")["targetInfos"]
    page = next(each["targetId"] for each in targets if each["type"] == "page")
    self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
      self.call(f"{domain}.enable")

  def __enter__(self) -> Browser:
    return self

  def __exit__(self, *unused: object) -> None:
    os.close(self._to)
    self._process.kill()
    self._process.wait()
    os.close(self._from)

  def call(self, method: str, **params: Any) -> dict[str, Any]:
    """Gives a command of the protocol and returns its answer."""
    self._number += 1
    message = {"id": self._number, "method": method, "params": params}
    if self._session:
      message["sessionId"] = self._session
    os.write(self._to, json.dumps(message).encode() + b"\0")
    end = time.monotonic() + _WAIT_S
    while True:
      answer = self._read(end)
      if answer.get("id") == self._number:
        assert "error" not in answer, answer["error"]
        return answer["result"]

  def _read(self, end: float) -> dict[str, Any]:
    while b"\0" not in self._buffer:
      ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
      assert ready, "the browser does not answer"
      read = os.read(self._from, 1 << 20)
      assert read, "the browser has ended"
      self._buffer += read
    text, self._buffer = self._buffer.split(b"\0", 1)
    message = json.loads(text)
    params = message.get("params", {})
    if message.get("method") == "Runtime.exceptionThrown":
      self.messages.append(json.dumps(params["exceptionDetails"]))
    elif message.get("method") == "Runtime.consoleAPICalled":
      self.messages.append(json.dumps(params["args"]))
    elif message.get("method") == "Log.entryAdded":
      self.messages.append(params["entry"]["text"])
    return message

  def size(self, width: int, height: int = 900, dark: bool = False) -> None:
    """Sets the size of the page in CSS pixels, and whether it is to be dark."""
    self.call(
      "Emulation.setDeviceMetricsOverride",
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=width < 600,
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    self.call("Emulation.setEmulatedMedia", features=[scheme])

  def open(self, url: str) -> None:
    """Opens a page and waits until it is loaded."""
    self.messages.clear()
    self.call("Page.navigate", url=url)
    self.wait(f"location.href !== 'about:blank' && document.readyState === 'complete' // {url}")

  def run(self, script: str) -> Any:
    """The value of a script's expression; a promise is awaited."""
    result = self.call(
      "Runtime.evaluate",
      expression=script,
      returnByValue=True,
      awaitPromise=True,
      userGesture=True,
    )
    assert "exceptionDetails" not in result, result["exceptionDetails"]
    return result["result"].get("value")

  def wait(self, condition: str, seconds: float = _WAIT_S) -> None:
    """Waits until an expression holds; of a page that has no body yet nothing does."""
    end = time.monotonic() + seconds
    while not self._holds(condition):
      assert time.monotonic() < end, f"never: {condition}"
      time.sleep(0.03)

  def _holds(self, condition: str) -> bool:
    try:
      return bool(self.run(f"document.body !== null && (\n{condition}\n)"))
    except AssertionError as error:
      # The page has gone on to another while it was asked.
      if "Inspected target navigated" not in str(error):
        raise
      return False

  def screenshot(self, path: Path, whole: bool = False) -> None:
    """Writes a PNG of what is in sight, or of the whole page."""
    shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
    path.write_bytes(base64.b64decode(shot["data"]))
