"""Writes the Prometheus rules from their template.

    python rules/build.py                                write rules/trunkwatch.rules.yml
    python rules/build.py --check                        exit 1 if it differs
    python rules/build.py --runbooks https://trunkwatch.example.com/runbooks --output FILE
    python rules/build.py --selector 'job="staging"' --name staging --output FILE

The selector is part of every selector of the rules. Where a second Trunkwatch has rules in the same
Prometheus, give it a name: it becomes the label `trunkwatch` of its alerts and recorded series.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    # For a script sys.path has its own folder, not the project that contains the packages.
    sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent / "exporter")]

from trunkwatch.config.alertmanager import SEVERITIES  # noqa: E402 — as above
from trunkwatch.metrics.catalogue import JOB_LABELS  # noqa: E402 — as above

TEMPLATE = FOLDER / "trunkwatch.rules.yml.in"
RULES = FOLDER / "trunkwatch.rules.yml"
RUNBOOKS = "http://localhost:10077/runbooks"
"""Where the exporter serves them in `make run` and docker-compose.yml."""

HEAD = "# Generated from trunkwatch.rules.yml.in by `python rules/build.py`; do not edit.\n#\n"

_MATCHER = r'[a-zA-Z_]\w*\s*(?:=|!=|=~|!~)\s*"(?:[^"\\]|\\.)*"'
_ADDRESS = re.compile(r"https?://[^\s/{}'\"#]+(?:/[^\s{}'\"#]*)?")
_SELECTOR = re.compile(rf"{_MATCHER}(?:\s*,\s*{_MATCHER})*")


class Which(NamedTuple):
    """The Trunkwatch that the rules are about.

    Attributes:
        selector: label matchers of its exporters, as in PromQL between braces.
        tickets: label matchers of `trunkwatch tickets`.
        confirm: label matchers of `trunkwatch confirm`.
        name: the label `trunkwatch` of its alerts and recorded series; empty for the only one.
        runbooks: the address below which each alert has a runbook of its name.
    """

    selector: str = 'job="trunkwatch"'
    tickets: str = 'job="trunkwatch-tickets"'
    confirm: str = 'job="trunkwatch-confirm"'
    name: str = ""
    runbooks: str = RUNBOOKS


DEFAULT = Which()
"""The only Trunkwatch, with the names of scrape jobs that the documents use."""


def is_selector(text: str) -> bool:
    """Return whether a text is label matchers, as in PromQL between braces."""
    return _SELECTOR.fullmatch(text) is not None


def render(which: Which = DEFAULT) -> str:
    """Return the text of the rules.

    Raises:
        ValueError: a selector is not a list of label matchers, the name is no label value, or the
            address of the runbooks is none.
    """
    for matchers in (which.selector, which.tickets, which.confirm):
        if not is_selector(matchers):
            raise ValueError(f'{matchers!r} is not a list of label matchers such as job="ci"')
    if not re.fullmatch(r"[\w.-]*", which.name):
        raise ValueError(f"{which.name!r} is not a name of letters, digits, '.', '_' and '-'")
    if not _ADDRESS.fullmatch(which.runbooks):
        raise ValueError(f"{which.runbooks!r} is not an address such as {RUNBOOKS}")
    text = HEAD + TEMPLATE.read_text(encoding="utf-8")
    for placeholder, value in _values(which).items():
        text = text.replace(f"@{placeholder}@", value)
    return _named(text, which.name) if which.name else text


def _values(which: Which) -> Mapping[str, str]:
    """Return the text of each placeholder; `Q` is the selector within a quoted printf format."""
    quoted = which.selector.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return {
        "J": ", ".join(JOB_LABELS),
        "S": which.selector,
        "Q": quoted,
        "T": which.tickets,
        "C": which.confirm,
        "R": f'trunkwatch="{which.name}"',
        "RUNBOOKS": which.runbooks.rstrip("/"),
        **SEVERITIES,
    }


def _named(text: str, name: str) -> str:
    """Add the label `trunkwatch` to every rule."""
    text = re.sub(r"labels: \{", f"labels: {{trunkwatch: {name}, ", text)
    text = re.sub(r"(?m)^( +)labels:\n", rf"\g<0>\1  trunkwatch: {name}\n", text)
    return re.sub(r"(?m)^( +)- record: .*\n", rf"\g<0>\1  labels: {{trunkwatch: {name}}}\n", text)


def outdated() -> list[str]:
    """Return the names of the committed files that differ from the generator's output."""
    is_current = RULES.exists() and RULES.read_text(encoding="utf-8") == render()
    return [] if is_current else [RULES.name]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the rules, or compare them with the committed file."""
    parser = argparse.ArgumentParser(description="Writes the Prometheus rules.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--selector", default=DEFAULT.selector, help="matchers of the exporters")
    parser.add_argument("--tickets-selector", default=DEFAULT.tickets, help="of `tickets`")
    parser.add_argument("--confirm-selector", default=DEFAULT.confirm, help="of `confirm`")
    parser.add_argument("--name", default="", help="label of the alerts and recorded series")
    parser.add_argument("--runbooks", default=RUNBOOKS, help="address of the runbooks")
    parser.add_argument("--output", type=Path, default=RULES, help="the file to write")
    options = parser.parse_args(argv)
    if options.check:
        for name in outdated():
            print(f"{name} is outdated: run 'python rules/build.py'", file=sys.stderr)
        return 1 if outdated() else 0
    try:
        text = render(
            Which(
                options.selector,
                options.tickets_selector,
                options.confirm_selector,
                options.name,
                options.runbooks,
            )
        )
    except ValueError as error:
        parser.error(str(error))
    options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
