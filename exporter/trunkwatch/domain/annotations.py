"""What the CI says about why a job failed, cut to what somebody reads in a ticket."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

LINES = 3
"""Lines that are kept: a ticket shows twenty jobs, and the log itself is one click away."""

LINE_LENGTH = 200
"""Characters of one line; compilers and test runners say what is wrong well before that."""

# A CI colours its messages; without its first character the rest of a code would read as text.
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")


def annotation_lines(messages: Iterable[str]) -> tuple[str, ...]:
    """Return the first lines of some messages, without blank ones and control characters.

    What it returns is returned as it is when it is given again.
    """
    return tuple(islice(_lines(messages), LINES))


def _lines(messages: Iterable[str]) -> Iterator[str]:
    for message in messages:
        for line in _COLOURS.sub("", message).splitlines():
            words = "".join(c if c.isprintable() else " " * c.isspace() for c in line).strip()
            if words:
                yield words if len(words) <= LINE_LENGTH else f"{words[: LINE_LENGTH - 1]}…"
