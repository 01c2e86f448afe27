"""Headless Chromium, driven over its own pipe (the DevTools protocol): no driver to install, no port to open."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
"""Where Chromium is; empty: not installed."""
SECONDS = 60.0
_AS_3_AND_4 = """
import fcntl, os, sys
reading, writing = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(reading, 3)
os.dup2(writing, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads what it is told from 3 and answers to 4."""


class Page:
    """One page: what it asked for, what it complained of, and what it is told to do."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing, self._buffer, self._last, self._session = reading, writing, b"", 0, ""
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def open(self, width: int, height: int, dark: bool = False) -> None:
        """An empty page of that size, watched."""
        self._session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        mode = "dark" if dark else "light"
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def go(self, file: Path, fragment: str = "") -> None:
        """Open a file and wait until it has drawn itself."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=f"{file.absolute().as_uri()}{fragment}")
        self.until("document.documentElement.dataset.ready !== undefined")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self._last:
                assert "error" not in found, found
                return found["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._reading], [], [], SECONDS)[0], "Chromium does not answer"
            some = os.read(self._reading, 1 << 20)
            assert some, "Chromium has ended"
            self._buffer += some
        line, _, self._buffer = self._buffer.partition(b"\0")
        found = json.loads(line)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.complaints.append(json.dumps(params["args"]))

    def value(self, expression: str) -> Any:
        """What JavaScript's `expression` is, as JSON."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until it is true."""
        ends = time.monotonic() + SECONDS
        while not self.value(expression):
            assert time.monotonic() < ends, f"never: {expression}; {self.complaints}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """Type one key."""
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" and len(key) == 1 else ""
            )

    def picture(self, file: Path) -> None:
        """Write what the window shows as a PNG."""
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser that keeps its files in `folder`, for as long as the body runs."""
    to_browser, from_browser = os.pipe(), os.pipe()
    command = [
        sys.executable, "-c", _AS_3_AND_4, str(to_browser[0]), str(from_browser[1]), PROGRAM, "--headless=new",
        "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", f"--user-data-dir={folder}", "--remote-debugging-pipe",
    ]  # fmt: skip
    browser = subprocess.Popen(
        command, pass_fds=(to_browser[0], from_browser[1]), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_browser[0])
    os.close(from_browser[1])
    try:
        yield Page(from_browser[0], to_browser[1])
    finally:
        os.close(to_browser[1])
        os.close(from_browser[0])
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
