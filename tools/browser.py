"""A headless Chromium, for the tests of the pages and for `make screenshots`.

`tools/fetch-browser` unpacks it; tools/browser.cjs drives it through playwright-core.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROJECT = Path(__file__).resolve().parents[1]
UNPACKED = PROJECT / ".browser"
DRIVER = Path(__file__).with_name("browser.cjs")
EXIT_SECONDS = 20.0


class BrowserError(RuntimeError):
    """The browser could not do what it was asked for."""


def missing() -> str | None:
    """Return why there is no browser; None if there is one."""
    if shutil.which("node") is None:
        return "Node.js is not on PATH"
    if not (UNPACKED / "version").exists():
        return "there is no browser in .browser/: run tools/fetch-browser"
    return None


class Browser:
    """One browser with one page; used as a context manager."""

    def __enter__(self) -> Self:
        """Start it."""
        base = UNPACKED / "usr" / "lib"
        libraries = [str(each) for each in (*base.glob("*-linux-gnu*"), *base.glob("*/pulseaudio"))]
        share = str(UNPACKED / "usr" / "share")  # fontconfig reads its fonts
        self._process = subprocess.Popen(
            ["node", str(DRIVER), str(UNPACKED)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "XDG_DATA_HOME": share},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _do(self, name: str, **values: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, "values": values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BrowserError("the browser has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BrowserError(f"{name} {values}: {answer['error']}")
        return answer.get("value")

    def view(
        self, width: int = 1440, height: int = 900, *, dark: bool = False, javascript: bool = True
    ) -> None:
        """Open an empty page with a fresh profile.

        Args:
            width: of the window (CSS pixels).
            height: of the window.
            dark: whether the system prefers dark colours.
            javascript: whether scripts run.
        """
        self._do("view", width=width, height=height, dark=dark, javascript=javascript)

    def goto(self, url: str) -> int | None:
        """Load a page; return the status of its answer."""
        status: int | None = self._do("goto", url=url)
        return status

    def back(self) -> None:
        """Go back one page."""
        self._do("back")

    def press(self, key: str) -> None:
        """Press a key, such as "Tab"."""
        self._do("press", key=key)

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector matches."""
        self._do("click", selector=selector)

    def hover(self, selector: str) -> None:
        """Move the pointer over an element."""
        self._do("hover", selector=selector)

    def fill(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        self._do("fill", selector=selector, text=text)

    def select(self, selector: str, value: str) -> None:
        """Choose an option of a list."""
        self._do("select", selector=selector, value=value)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        return self._do("evaluate", expression=expression)

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        self._do("wait", expression=expression)

    @property
    def address(self) -> str:
        """The URL of the page."""
        url: str = self._do("address")
        return url

    def seen(self) -> tuple[list[str], list[str]]:
        """Return the errors and warnings since `view`, and the URLs that were requested."""
        found = self._do("seen")
        return found["problems"], found["requests"]

    def shoot(self, file: Path, *, whole: bool = False) -> None:
        """Write a picture of the window, or of the whole page, as PNG."""
        self._do("shoot", file=str(file), whole=whole)

    def violations(self) -> list[str]:
        """Return the violations that axe-core finds: its rule and the elements."""
        found: list[str] = self._do("violations")
        return found
