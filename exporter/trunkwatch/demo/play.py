"""Replays a recorded file into another one, commit by commit, with current times."""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from trunkwatch.demo.ci import RunPages
from trunkwatch.demo.incident import INCIDENT
from trunkwatch.times import format_time, parse_time

TIMES = ("committed_at", "created_at", "started_at", "completed_at")


def steps(lines: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield each commit's line with the lines of its results."""
    step: list[dict[str, Any]] = []
    for line in lines:
        record = json.loads(line)
        if record["kind"] == "commit" and step:
            yield step
            step = []
        step.append(record)
    if step:
        yield step


def moved(step: Sequence[dict[str, Any]], newest: float) -> list[dict[str, Any]]:
    """Shift all times of a step, so that the newest one is `newest` (seconds since the epoch)."""
    times = [parse_time(r[key]) for r in step for key in TIMES if r.get(key)]
    span = timedelta(seconds=newest - max(times, default=newest))
    return [
        {
            key: format_time((datetime.fromisoformat(value) + span).timestamp())
            if key in TIMES and value
            else value
            for key, value in record.items()
        }
        for record in step
    ]


def append(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Append records in one write, so that a reader sees only whole lines."""
    text = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def play(
    source: Path,
    target: Path,
    interval: float,
    at_once: int,
    landed: Callable[[dict[str, Any]], None],
    stop: threading.Event,
    before: Callable[[int], None] = lambda _number: None,
) -> None:
    """Replay commits until all are written or `stop` is set.

    Args:
        source: the recorded file.
        target: the file to write; replaced if it exists.
        interval: seconds between commits.
        at_once: number of commits that are written at the start.
        landed: called with the line of each written commit.
        stop: ends the replay early.
        before: called with the number of each commit that is about to land, from 0; may wait.
    """
    all_steps = list(steps(source.read_text(encoding="utf-8").splitlines()))
    began = time.time()
    target.unlink(missing_ok=True)
    for number, step in enumerate(all_steps):
        history = at_once - number
        if history <= 0 and stop.wait(interval):
            return
        before(number)
        if stop.is_set():
            return
        now = time.time() if history <= 0 else began - 60.0 * history
        append(target, moved(step, now))
        landed(step[0])


def main(arguments: Sequence[str] | None = None, stop: threading.Event | None = None) -> int:
    """Replay from the command line.

    Args:
        arguments: the flags; those of the process by default.
        stop: ends the replay and the pages; nothing does by default.
    """
    parser = argparse.ArgumentParser(prog="python -m trunkwatch.demo.play", description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, default=INCIDENT)
    parser.add_argument("--to", dest="target", type=Path, required=True)
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between commits")
    parser.add_argument("--at-once", type=int, default=5, help="commits written at the start")
    parser.add_argument(
        "--web.listen-address",
        dest="address",
        help="serve pages of the runs there, to which the addresses of the file lead, until killed",
    )
    given, ended = parser.parse_args(arguments), stop or threading.Event()

    def landed(commit: dict[str, Any]) -> None:
        print(f"landed {commit['sha'][:10]} {commit.get('title', '')}", flush=True)

    def replay(source: Path) -> None:
        play(source, given.target, given.interval, given.at_once, landed, ended)

    if given.address is None:
        replay(given.source)
        return 0
    host, _, port = given.address.rpartition(":")
    runs = RunPages(given.source, host or "127.0.0.1", int(port))
    runs.start()
    replay(runs.copied(given.source, given.target.with_name(f"pages-of-{given.target.name}")))
    ended.wait()
    runs.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
