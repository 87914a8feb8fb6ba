"""A CI's messages about a failed job, shortened to fit into a ticket."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from trunkwatch.cuts import cut_to_characters

LINES = 3
"""Lines per job: a ticket shows twenty jobs, each with a link to the log."""

LINE_LENGTH = 200
"""Characters per line; compilers and test runners report the error within fewer."""

# ANSI escape sequences: dropping the control character alone would leave the rest as text.
_ANSI_SEQUENCES = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")


def annotation_lines(messages: Iterable[str]) -> tuple[str, ...]:
    """Return the first lines of some messages, without blank lines and control characters.

    Idempotent: its result passes through unchanged.
    """
    return tuple(islice(_lines(messages), LINES))


def _lines(messages: Iterable[str]) -> Iterator[str]:
    for message in messages:
        for line in _ANSI_SEQUENCES.sub("", message).splitlines():
            words = "".join(c if c.isprintable() else " " * c.isspace() for c in line).strip()
            if words:
                yield cut_to_characters(words, LINE_LENGTH)
