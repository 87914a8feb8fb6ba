"""The part of GitHub's API that `trunkwatch confirm` uses, for the runs of the recorded incident.

A job that was cancelled passes when it runs again, and one that failed fails again.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from trunkwatch.times import format_time

Record = dict[str, Any]

WORKFLOW = b"on: push\njobs: {test: {runs-on: linux, steps: [{run: make test}]}}\n"
"""The file of each workflow of the incident."""

RUN_AGE_SECONDS = 600.0
"""The age of every run: the incident is played with current times."""

_RUN = re.compile(r"/repos/[^/]+/[^/]+/actions/runs/(\d+)(/jobs|/rerun-failed-jobs)?")
_FILE = re.compile(r"/repos/[^/]+/[^/]+/contents/.+")

PASSED = "success"


class Reply(NamedTuple):
    """An answer of the API.

    Attributes:
        status: the status code.
        document: its JSON.
    """

    status: int
    document: Mapping[str, Any]


NOT_FOUND = Reply(404, {"message": "Not Found"})


class Reruns:
    """The runs of a recording, which can be repeated."""

    def __init__(
        self, records: Iterable[Record], report: Callable[[Sequence[Record]], None], delay: float
    ) -> None:
        """Args:
        records: the lines of the recorded file.
        report: called with the new results of a run, in another thread.
        delay: seconds that a job takes.
        """
        self._runs: dict[str, list[Record]] = {}
        for record in records:
            if record["kind"] == "run":
                self._runs.setdefault(str(record["run_id"]), []).append(record)
        self._running: set[str] = set()
        self._report = report
        self._delay = delay
        self._lock = threading.Lock()

    def get(self, path: str) -> Reply | None:
        """Answer a GET; None for a path that is none of the API.

        Args:
            path: with its query.
        """
        path = urlsplit(path).path
        if _FILE.fullmatch(path):
            return Reply(200, {"content": base64.b64encode(WORKFLOW).decode()})
        found = _RUN.fullmatch(path)
        if found is None:
            return None
        number, rest = found.groups()
        with self._lock:
            jobs = _newest(self._runs.get(number, []))
            if not jobs:
                return NOT_FOUND
            if rest is None:
                return Reply(200, self._run(number, jobs))
        rows = [
            {"id": job["job_id"], "name": job["job_name"], "conclusion": job["conclusion"]}
            for job in jobs
        ]
        return Reply(200, {"total_count": len(rows), "jobs": rows})

    def _run(self, number: str, jobs: Sequence[Record]) -> Mapping[str, Any]:
        is_running, now = number in self._running, time.time()
        return {
            "id": int(number),
            "run_attempt": max(job["attempt"] for job in jobs) + is_running,
            "status": "in_progress" if is_running else "completed",
            "conclusion": None if is_running else jobs[0]["conclusion"],
            "event": "push",
            "path": f".github/workflows/{jobs[0]['workflow']}.yml",
            "workflow_id": 1,
            "created_at": format_time(now - RUN_AGE_SECONDS),
            "updated_at": format_time(now - RUN_AGE_SECONDS),
        }

    def post(self, path: str) -> Reply:
        """Answer a POST: run the jobs of a run again that did not pass."""
        found = _RUN.fullmatch(path)
        if found is None or found[2] != "/rerun-failed-jobs":
            return NOT_FOUND
        number = found[1]
        with self._lock:
            again = [
                job for job in _newest(self._runs.get(number, [])) if job["conclusion"] != PASSED
            ]
            if not again:
                return NOT_FOUND
            if number in self._running:
                return Reply(403, {"message": "This workflow is already running"})
            self._running.add(number)
        timer = threading.Timer(self._delay, self._end, (number, again))
        timer.daemon = True
        timer.start()
        return Reply(201, {})

    def _end(self, number: str, again: Sequence[Record]) -> None:
        """End the jobs of a run, and report their results."""
        now = time.time()
        results = [
            {
                **job,
                "attempt": job["attempt"] + 1,
                "job_id": job["job_id"] + 1,
                "url": job["url"].replace(str(job["job_id"]), str(job["job_id"] + 1)),
                "conclusion": PASSED if job["conclusion"] == "cancelled" else job["conclusion"],
                "created_at": format_time(now - self._delay),
                "started_at": format_time(now - self._delay),
                "completed_at": format_time(now),
            }
            for job in again
        ]
        with self._lock:
            self._runs[number] += results
            self._running.discard(number)
        self._report(results)


def _newest(jobs: Sequence[Record]) -> Sequence[Record]:
    """Return the newest attempt of each job of a run."""
    return list({job["job_name"]: job for job in sorted(jobs, key=_attempt)}.values())


def _attempt(job: Record) -> int:
    return int(job["attempt"])


def as_body(reply: Reply) -> bytes:
    """Return the body of an answer."""
    return json.dumps(reply.document).encode()
