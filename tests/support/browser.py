"""Drive a headless Chromium over the DevTools protocol, through a pair of pipes: only the browser must be installed.

Each browser has one reader thread, which passes replies to the calls that wait for them and appends events to a list.
One thread uses a `Page`. Every call has a limit; conditions are waited for in the page itself.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

LIMIT = 30.0

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Chromium reads commands from descriptor 3 and writes to 4. A process in between moves the pipes there, because moving
# them after fork() is not safe in a process with threads. First it moves them away: either may be 3 or 4 already.
_EXEC = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]);"
    "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)

# DOM code and windowsVirtualKeyCode of keys whose text does not determine them.
_KEYS: Mapping[str, tuple[str, int]] = {
    "ArrowDown": ("ArrowDown", 40),
    "ArrowLeft": ("ArrowLeft", 37),
    "ArrowRight": ("ArrowRight", 39),
    "ArrowUp": ("ArrowUp", 38),
    "End": ("End", 35),
    "Enter": ("Enter", 13),
    "Escape": ("Escape", 27),
    "Home": ("Home", 36),
    "Tab": ("Tab", 9),
}
_MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}


def find_browser() -> str | None:
    """Return the path of an installed Chromium, or None."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


class Browser:
    """Run Chromium with an empty profile of its own."""

    def __init__(self, path: str, profile: Path) -> None:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        switches = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-sync",
            "--mute-audio",
            "--no-default-browser-check",
            "--no-first-run",
            # A headless window counts as hidden, but its timers should run as in a visible one.
            "--disable-background-timer-throttling",
            "--disable-renderer-backgrounding",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            switches.append("--no-sandbox")  # root, in a container: Chromium refuses to start otherwise
        command = [sys.executable, "-c", _EXEC, str(to_read), str(to_write), path, *switches, "about:blank"]
        with (profile / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(command, pass_fds=(to_read, to_write), stdout=log, stderr=log)
        os.close(to_read)
        os.close(to_write)
        self._lock = threading.Lock()
        self._last_id = 0
        self._waiting: dict[int, SimpleQueue[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reader = threading.Thread(target=self._read, name="browser", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with contextlib.suppress(BrowserError, OSError):
            self.call("Browser.close")
        try:
            self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(LIMIT)
        self._reader.join(LIMIT)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Send a command and return its result."""
        replies: SimpleQueue[dict[str, Any]] = SimpleQueue()
        with self._lock:
            self._last_id += 1
            number = self._last_id
            self._waiting[number] = replies
            message: dict[str, Any] = {"id": number, "method": method, "params": params}
            if session is not None:
                message["sessionId"] = session
            rest = json.dumps(message).encode() + b"\0"
            while rest:
                rest = rest[os.write(self._to, rest) :]
        try:
            reply = replies.get(timeout=LIMIT)
        except Empty:
            raise BrowserError(f"{method}: no answer within {LIMIT:g} s") from None
        if "error" in reply:
            raise BrowserError(f"{method}: {reply['error']['message']}")
        return reply["result"]

    @contextlib.contextmanager
    def page(self, width: int = 1280, height: int = 800, *, dark: bool = False) -> Iterator[Page]:
        """Open a page in a context of its own: no storage, no clipboard of another test."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, context)
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                page.call(f"{domain}.enable")
            page.resize(width, height)
            page.call("Emulation.setFocusEmulationEnabled", enabled=True)
            page.call(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
            )
            yield page
        finally:
            del self._pages[session]
            self.call("Target.disposeBrowserContext", browserContextId=context)

    def _read(self) -> None:
        pending = b""
        while True:
            try:
                chunk = os.read(self._from, 1 << 20)
            except OSError:
                chunk = b""
            if not chunk:
                break
            *messages, pending = (pending + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._waiting.pop(message["id"]).put(message)
                elif page := self._pages.get(message.get("sessionId", "")):
                    page.events.append(message)
        for replies in list(self._waiting.values()):
            replies.put({"error": {"message": "the browser is gone"}})


class Page:
    """Control one page: its scripts, keys and mouse; and read its console and requests."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self.context = context
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **params: Any) -> Any:
        """Send a command to this page."""
        return self._browser.call(method, self._session, **params)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def goto(self, url: str) -> None:
        """Load a page, without waiting for its content."""
        answer = self.call("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BrowserError(f"{url}: {answer['errorText']}")

    def js(self, expression: str) -> Any:
        """Evaluate an expression, awaiting a promise, and return its value."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20.0) -> Any:
        """Wait until a JavaScript expression is truthy and return its value."""
        value = self.js(
            f"""new Promise((resolve) => {{
              const until = performance.now() + {seconds * 1000};
              const look = () => {{
                let value = null;
                try {{ value = ({condition}); }} catch (error) {{ if (!(error instanceof TypeError)) throw error; }}
                if (!value && performance.now() < until) setTimeout(look, 15);
                else resolve(value instanceof Node ? true : value);
              }};
              look();
            }})"""
        )
        if not value:
            seen = self.js("document.body.innerText.slice(0, 1500)")
            raise AssertionError(f"not within {seconds:g} s: {condition}\nThe page says:\n{seen}\n{self.complaints()}")
        return value

    def key(self, *keys: str) -> None:
        """Press keys one after the other; ``"Control+Enter"`` holds the first."""
        for combination in keys:
            *held, key = combination.split("+") if combination != "+" else ["+"]
            modifiers = sum(_MODIFIERS[name] for name in held)
            code, number = _KEYS.get(key, ("", ord(key.upper()) if key.isalnum() and len(key) == 1 else 0))
            text = "\r" if key == "Enter" else key if len(key) == 1 else ""
            event: dict[str, Any] = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
            if text and not modifiers & ~8:
                event["text"] = text
            self.call("Input.dispatchKeyEvent", type="keyDown", **event)
            event.pop("text", None)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that matches."""
        x, y = self.wait(
            f"""(() => {{
              const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
              return box.width > 0 && [box.x + box.width / 2, box.y + box.height / 2];
            }})()"""
        )
        self.drag((x, y), (x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the left mouse button at one point and release it at another."""
        for kind, (x, y), buttons in (
            ("mouseMoved", start, 0),
            ("mousePressed", start, 1),
            *([("mouseMoved", end, 1)] if start != end else []),
            ("mouseReleased", end, 0),
        ):
            button = "none" if kind == "mouseMoved" and not buttons else "left"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Write the visible part of the page as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def requests(self) -> list[str]:
        """Return the URLs that the page has requested."""
        return [
            event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return the console: messages, uncaught exceptions, refused styles and scripts, failed requests."""
        found = []
        for event in list(self.events):
            params = event["params"]
            if event["method"] == "Runtime.consoleAPICalled":
                found.append(" ".join(str(arg.get("value", arg.get("description"))) for arg in params["args"]))
            elif event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Log.entryAdded":
                entry = params["entry"]
                found.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        return found


class BrowserError(Exception):
    """The browser is gone, does not answer, or a script in it raised."""
