"""What the demo prints: rendered and in colour at a terminal, plain lines elsewhere."""

import re
import sys
import threading
import time
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.style import Style
from rich.text import Text

from trunkwatch.demo.receiver import Delivery, as_text, framed

_SHA = re.compile(r"\b([0-9a-f]{10})[0-9a-f]{30}\b")
_LINK = re.compile(r"\[([^\[\]\n]{0,200})\]\([^)\s]*\)")
_URL = re.compile(r"https?://\S+")

TICKET = "THE TICKET (dry run: nothing is sent)"

WIDEST = 110
"""Columns that a message fills at most: longer lines are hard to read."""


class Screen:
    """Prints from any thread; one call is printed as a whole."""

    def __init__(self, console: Console | None = None) -> None:
        """Args:
        console: where to print; standard output by default.
        """
        self._lock = threading.Lock()
        self._console = console or Console(file=sys.stdout, highlight=False)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return self._console.is_terminal

    def log(self, text: str, style: str = "") -> None:
        """Print a line with the time of day; a long one is continued below itself."""
        now = time.strftime("%H:%M:%S")
        if not self.is_terminal:
            print(f"{now}  {text}", flush=True)
            return
        indent = len(text) - len(text.lstrip())
        self._line(now, min(indent, 4), _linked(text.lstrip(), style))

    def _line(self, now: str, indent: int, text: Text) -> None:
        before = len(now) + 2 + indent
        lines = text.wrap(self._console, self._console.width - before, overflow="fold")
        shown = Text(no_wrap=True)
        for number, line in enumerate(lines):
            line.rstrip()
            begin = Text(now if number == 0 else "", "dim")
            begin.pad_right(before - len(begin))
            shown.append_text(Text.assemble(begin, line, "\n"))
        self._print(shown)

    def _print(self, *parts: RenderableType) -> None:
        with self._lock:
            for part in parts:
                self._console.print(part, end="" if isinstance(part, Text) else "\n")

    def page(self, what: str, url: str) -> None:
        """Print a page to look at."""
        self.log(f"  {what:36}{url}")

    def notification(self, delivery: Delivery) -> None:
        """Print a notification as its readers see it."""
        if not self.is_terminal:
            print(framed(as_text(delivery)), flush=True)
            return
        title, state, *facts = as_text(delivery).split("\n")
        colour = "red" if delivery.status == "firing" else "green"
        lines = [Text(state, style="dim"), *(_fact(line) for line in facts)]
        self._panel(title, colour, Group(*lines))

    def ticket(self, request: str) -> None:
        """Print a request of `trunkwatch tickets --dry-run` as GitHub would render it."""
        if not self.is_terminal:
            print(framed(f"{TICKET}: {request}"), flush=True)
            return
        head, _, body = request.partition("\n")
        # A terminal shows where a link leads on its own; addresses would be most of the text.
        text = _LINK.sub(lambda match: f"*{match[1]}*", body)
        what, *details = head.split("; ")
        parts: list[RenderableType] = [Text(detail, style="dim") for detail in details]
        self._panel(f"Ticket: {what}", "cyan", Group(*parts, Markdown(text)))

    def _panel(self, title: str, colour: str, content: RenderableType) -> None:
        width = min(self._console.width, WIDEST)
        panel = Panel(
            Group(Text(title, style=f"bold {colour}"), content),
            border_style=colour,
            width=width,
        )
        self._print(Text("\n"), panel, Text("\n"))


def _fact(line: str) -> RenderableType:
    """Return a line of a notification: the name of a fact is dim, hashes are short."""
    text = line.lstrip()
    indent = (0, 0, 0, min(len(line) - len(text), 4))
    if line.startswith("  ") and not line.startswith("   "):
        return Padding(Text(text, style="bold", overflow="fold"), indent)
    name, colon, value = _SHA.sub(r"\1", text).partition(": ")
    if not colon:
        return Padding(Text(name, overflow="fold"), indent)
    return Padding(Text.assemble((f"{name}: ", "dim"), _linked(value), overflow="fold"), indent)


def _linked(text: str, style: str = "") -> Text:
    """Return a text whose addresses are links; one in percent-encoding is not shown itself."""
    made = Text(style=style)
    for part, is_url in _parts(text):
        shown = "open it" if is_url and "%" in part else part
        made.append(shown, Style(link=part, underline=True) if is_url else None)
    return made


def _parts(text: str) -> Iterator[tuple[str, bool]]:
    end = 0
    for match in _URL.finditer(text):
        yield text[end : match.start()], False
        yield match[0], True
        end = match.end()
    yield text[end:], False
