"""Compare the product with the oracle on random histories.

    python -m tests.reference.compare --count 2000 --seed 1

Prints the first disagreements, each cut down to few lines, and exits 1 where there is any.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from tests.reference import oracle
from tests.reference.histories import History, Json, generate

Difference = tuple[str, Any, Any]
Compare = Callable[[Sequence[Json], Mapping[str, Any], datetime], list[Difference]]
# The policy does not specify the first two; the oracle does not compute the others, which
# tests/domain/test_blame.py checks.
UNRULED = (
    "compare_url", "infra", "tested_suspects", "next_test", "confirmed", "same_step",
    "also_broken_since", "last_outage", "annotations",
)  # fmt: skip
DIFFERENCES_SHOWN = 6
DEFAULT_SHOWN = 3


class ProductError(Exception):
    """The command line gave no answer at all."""


def product_answer(lines: Sequence[Json], config: Mapping[str, Any], now: datetime) -> Json:
    """Return what `trunkwatch check --format json` prints, without its sources."""
    from trunkwatch.cli import main

    with tempfile.TemporaryDirectory() as folder:
        recorded, settings = Path(folder, "history.ndjson"), Path(folder, "config.yml")
        recorded.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        source = {"name": "recorded", "type": "recorded", "path": str(recorded)}
        settings.write_text(yaml.safe_dump({"sources": [source], **config}), encoding="utf-8")
        moment = now.isoformat().replace("+00:00", "Z")
        options = ["--config.file", str(settings), "--format", "json", "--now", moment]
        # Outside of standalone mode a command returns its exit code, as `run()` expects it.
        result = CliRunner().invoke(main, ["check", *options], standalone_mode=False)
    if result.exception is not None:
        raise ProductError(f"{result.exception!r} {result.exception} {result.stderr}")
    answer: Json = json.loads(result.stdout)
    expected = _exit_code(answer)
    if result.return_value != expected:
        raise ProductError(f"exit code {result.return_value} instead of {expected}")
    answer.pop("sources", None)
    for job in answer["jobs"]:
        for key in UNRULED:
            job.pop(key, None)
    return answer


def _exit_code(answer: Json) -> int:
    """Return the exit code that fits an answer: 2 where a trunk has no jobs or is doubtful."""
    if any(group["firing"] for group in answer["groups"]):
        return 1
    watched = {(job["repo"], job["branch"]) for job in answer["jobs"]}
    fresh = {(t["repo"], t["branch"]) for t in answer["trunks"] if t["data"] == "fresh"}
    return 0 if answer["trunks"] and len(watched & fresh) == len(answer["trunks"]) else 2


def differences(
    lines: Sequence[Json], config: Mapping[str, Any], now: datetime
) -> list[Difference]:
    """Return (path, expected, found) for each value on which the two disagree."""
    wanted = oracle.check(lines, config, now)
    try:
        found = product_answer(lines, config, now)
    except ProductError as error:
        return [("(no answer)", None, str(error))]
    return [
        *walk("as_of", wanted["as_of"], found["as_of"]),
        *walk_named("groups", ("repo", "branch", "group"), wanted["groups"], found["groups"]),
        *walk_named(
            "jobs", ("repo", "branch", "workflow", "job_name"), wanted["jobs"], found["jobs"]
        ),
    ]


def walk_named(
    path: str, labels: Sequence[str], wanted: Sequence[Json], found: Sequence[Json]
) -> Iterator[Difference]:
    """Compare two lists of objects by their labels, then their order."""

    def by_labels(items: Sequence[Json]) -> dict[str, Json]:
        return {" > ".join(str(item[label]) for label in labels): item for item in items}

    left, right = by_labels(wanted), by_labels(found)
    for name in sorted({*left, *right}):
        yield from walk(f"{path}[{name}]", left.get(name), right.get(name))
    if left.keys() == right.keys() and list(left) != list(right):
        yield f"{path} (order)", list(left), list(right)


def walk(path: str, wanted: Any, found: Any) -> Iterator[Difference]:
    """Compare two values; objects key by key."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}):
            yield from walk(f"{path}.{key}", wanted.get(key), found.get(key))
    elif wanted not in (found, oracle.UNDECIDED):
        yield path, wanted, found


def shrink(
    lines: Sequence[Json], config: Mapping[str, Any], now: datetime, compare: Compare
) -> tuple[list[Json], Json]:
    """Drop lines and settings for as long as the two go on disagreeing in the same way."""
    kind = kind_of(compare(lines, config, now))

    def still(kept: Sequence[Json], settings: Mapping[str, Any]) -> bool:
        try:
            return kind_of(compare(kept, settings, now)) == kind
        except ValueError:  # a run has lost the last commit line of its trunk
            return False

    settings = dict(config)
    for section in list(settings):
        fewer = {key: value for key, value in settings.items() if key != section}
        if still(lines, fewer):
            settings = fewer
    kept = list(lines)
    size = max(1, len(kept) // 2)
    while True:
        start, before = 0, len(kept)
        while start < len(kept):
            fewer_lines = kept[:start] + kept[start + size :]
            if fewer_lines and still(fewer_lines, settings):
                kept = fewer_lines
            else:
                start += size
        if size == 1 and len(kept) == before:
            return kept, settings
        size = max(1, size // 2)


def kind_of(found: Sequence[Difference]) -> str | None:
    """Return the key of the first difference: what it is about, not which job it is in."""
    return found[0][0].rsplit(".", 1)[-1].split("[", 1)[0] if found else None


def report(title: str, history: History, cut_down: bool, compare: Compare) -> None:
    """Print one disagreement."""
    lines, config, now = history
    if cut_down:
        lines, config = shrink(lines, config, now, compare)
    found = compare(lines, config, now)
    print(f"{title}: {len(found)} differences")
    for path, wanted, got in found[:DIFFERENCES_SHOWN]:
        print(f"  {path}\n    expected {wanted!r}\n    found    {got!r}")
    if cut_down:
        print(f"  now {now.isoformat()}\n  config {json.dumps(config, default=str)}")
        for line in lines:
            print(f"  {json.dumps(line)}")


def main(arguments: Sequence[str] | None = None, compare: Compare = differences) -> int:
    """Compare as many histories as asked for, and print the first disagreements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="how many histories")
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--show", type=int, default=DEFAULT_SHOWN, help="disagreements to print")
    parser.add_argument("--ignore", default="", help="keys to leave out, with commas between")
    parser.add_argument("--no-clashes", action="store_true", help="runs are wholly on trunk or off")
    parser.add_argument("--whole", action="store_true", help="do not cut disagreements down")
    options = parser.parse_args(arguments)
    ignored = set(options.ignore.split(","))

    def compare_rest(
        lines: Sequence[Json], config: Mapping[str, Any], now: datetime
    ) -> list[Difference]:
        found = compare(lines, config, now)
        return [item for item in found if item[0].rsplit(".", 1)[-1] not in ignored]

    wrong = 0
    for seed in range(options.seed, options.seed + options.count):
        history = generate(seed, clashes=not options.no_clashes)
        if compare_rest(*history):
            wrong += 1
            if wrong <= options.show:
                report(f"seed {seed}", history, not options.whole, compare_rest)
    print(f"{options.count} histories from seed {options.seed}: {wrong} disagree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
