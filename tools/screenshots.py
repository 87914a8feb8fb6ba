"""`make screenshots`: pictures of the pages during the recorded incident, in docs/pictures/.

The moment: the commit after the fourth failure has landed, and its runs have not ended. Beside the
pictures stands a digest of all that they show; a test compares it, so that none is out of date.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from urllib.parse import quote

from markdown_it import MarkdownIt
from trunkwatch import __version__
from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.app import refresh_all
from trunkwatch.config import Config, load_config
from trunkwatch.demo.incident import INCIDENT
from trunkwatch.demo.play import steps
from trunkwatch.domain.job import JobState
from trunkwatch.engine.snapshot import Totals
from trunkwatch.engine.triage import AlertNote, GroupKey, Reading, TicketNote, Triage
from trunkwatch.html.templating import static_files
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.report.document import Surroundings, document_of_trunks
from trunkwatch.status.trunk_status import JobName, parse_trunk_status
from trunkwatch.store import MEMORY
from trunkwatch.tickets.alerts import ALERT, UnresolvedAlert
from trunkwatch.tickets.model import Links, TicketKey
from trunkwatch.tickets.reconcile.context import ReconcileContext, labels_of, new_ticket
from trunkwatch.times import format_time, parse_time
from trunkwatch.web import Pages, WebServer
from trunkwatch.web.view import View

from tools.browser import PROJECT, Browser, missing

PICTURES = PROJECT / "docs" / "pictures"
DIGEST = PICTURES / "made-from.txt"
COMMITS = 11
"""Commits of the incident that have landed; the runs of the last one have not ended."""

MINUTES = 25
"""Minutes after the last commit: long enough for the runs of the one before it."""

SIZES = {"wide": (1440, 900), "phone": (390, 844)}

TERMINAL = """<!doctype html><meta charset="utf-8"><title>x</title><style>
body{margin:0;background:#14181c;color:#e4e8eb}pre{margin:0;padding:20px 24px;width:max-content;
font:13px/1.45 "DejaVu Sans Mono",monospace}.p{color:#79cdae}</style><pre>"""

TICKET = """<!doctype html><meta charset="utf-8"><title>x</title><style>
body{margin:0;background:#fff;color:#1d2329}main{padding:16px 28px;width:860px;
font:14px/1.5 Inter,system-ui,sans-serif;overflow-wrap:anywhere}h1{font-size:20px;margin:8px 0}
h3{font-size:15px}code{font:12px "DejaVu Sans Mono",monospace;background:#f0f2f4;padding:1px 4px;
border-radius:3px}p span{border:1px solid #c5ccd3;border-radius:10px;padding:1px 8px;
margin-right:6px;font-size:12px}a{color:#0b57a4}li{margin:2px 0}</style>"""

ADDRESS, ALERTMANAGER = "http://localhost:10077", "http://localhost:9093"


@dataclass(frozen=True)
class Incident:
    """The pages during the incident.

    Attributes:
        pages: the application.
        paths: of the pages, by the names of their pictures.
        ticket: the issue about it, as HTML.
        folder: holds the configuration and the results.
        now: the moment (seconds since the epoch).
    """

    pages: Pages
    paths: dict[str, str]
    ticket: str
    folder: Path
    now: float


@contextmanager
def incident() -> Iterator[Incident]:
    """Yield the pages during the incident."""
    with tempfile.TemporaryDirectory(prefix="trunkwatch-pictures-") as name:
        folder = Path(name)
        now = _write(folder)
        config = load_config(str(folder / "trunkwatch.yml"))
        once = refresh_all(config, MEMORY, now)
        (trunk,) = once.engine.snapshot.trunks
        (broken,) = (job for job in trunk.jobs if job.broken)
        # The source has read its file today.
        snapshot = replace(once.engine.snapshot, trunks=(replace(trunk, data_at=now),))
        triage = _triage(broken, now)
        view = View(lambda: snapshot, once.compare_urls, once.engine.columns_at, ADDRESS, triage)
        exposition = Exposition(lambda: snapshot, Totals, __version__)
        pages = Pages(lambda: view, exposition, lambda: now + 20, __version__)
        paths = {"grid": trunk_path(trunk.trunk), "job": job_path(broken.key)}
        around = Surroundings(ADDRESS, triage)
        found = document_of_trunks(snapshot, snapshot.trunks, once.compare_urls, now, around=around)
        yield Incident(pages, paths, _ticket(broken, config, found, now), folder, now)
        once.store.close()


def _triage(job: JobState, now: float) -> Triage:
    """Return who is on the broken job: its issue is assigned, and nothing is silenced."""
    key = job.key
    number = 1
    url = f"https://github.com/{key.repo}/issues/{number}"
    note = TicketNote(f"{key.repo}#{number}", url, "open", ("author-g",), now - 1800)
    group = GroupKey(key.repo, key.branch, job.group.name)
    alerts = {key: AlertNote((), inhibited=False)}
    return Triage(Reading({group: note}, now), Reading(alerts, now))


def _ticket(job: JobState, config: Config, document: object, now: float) -> str:
    """Return the issue that `trunkwatch tickets` writes at the moment, rendered from Markdown."""
    key = TicketKey(job.key.repo, job.key.branch, job.group.name)
    status = parse_trunk_status(document)
    links = Links(runbook=f"{ADDRESS}/runbooks/{ALERT}")
    context = ReconcileContext(
        key, config.tickets, status, {JobName(*job.key[2:]): UnresolvedAlert(True, links)},
        frozenset({JobName(*job.key[2:])}), ALERTMANAGER, now=now,
    )  # fmt: skip
    ticket = new_ticket(context, "0" * 32)
    labels = "".join(f"<span>{escape(label)}</span>" for label in labels_of(ticket, ()))
    body = MarkdownIt("commonmark").render(ticket.body)
    return f"{TICKET}<main><h1>{escape(ticket.title)}</h1><p>{labels}</p>{body}</main>"


def _write(folder: Path) -> float:
    """Write the results as they are at the moment, and return it."""
    landed = list(steps(INCIDENT.read_text(encoding="utf-8").splitlines()))[:COMMITS]
    now = parse_time(landed[-1][0]["committed_at"]) + MINUTES * 60
    rows = [row for step in landed for row in step]
    for row in landed[-1][1:]:
        row.update(status="in_progress", conclusion=None, completed_at=None, failed_step=None)
    text = "".join(
        json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows
    )
    (folder / "incident.ndjson").write_text(text, encoding="utf-8")
    shutil.copy(INCIDENT.with_name("trunkwatch.yml"), folder / "trunkwatch.yml")
    return now


def digest() -> str:
    """Return a digest of all that the pictures show."""
    found = hashlib.blake2b(digest_size=16)
    with incident() as shown:
        for path in shown.paths.values():
            body = shown.pages(_request(path), lambda *_: lambda _: None)
            text = re.sub(rb"\s+(?=<)|(?<=>)\s+", b"", b"".join(body))
            found.update(text.replace(__version__.encode(), b""))
        found.update(shown.ticket.encode())
    for file in static_files().values():
        found.update(file.version.encode())
    return found.hexdigest()


def _request(path: str) -> dict[str, object]:
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "REQUEST_URI": path, "QUERY_STRING": ""}


def main() -> int:
    """Take all pictures; return 0, or 2 without a browser."""
    problem = missing()
    if problem is not None:
        print(f"make screenshots: {problem}", file=sys.stderr)
        return 2
    PICTURES.mkdir(exist_ok=True)
    with incident() as shown, Browser() as browser:
        server = WebServer("127.0.0.1:0", shown.pages)
        server.start()
        try:
            for name, path in shown.paths.items():
                _pages(browser, name, f"http://127.0.0.1:{server.port}{path}")
        finally:
            server.stop()
        _shoot(browser, shown.ticket, "main", "ticket", dark=False)
        for command in ("check", "backtest"):
            _terminal(browser, command, shown)
    DIGEST.write_text(f"{digest()}\n", encoding="utf-8")
    return 0


def _pages(browser: Browser, name: str, url: str) -> None:
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            browser.view(width, height, dark=dark)
            browser.goto(url)
            file = PICTURES / f"{name}-{size}-{'dark' if dark else 'light'}.png"
            browser.shoot(file, whole=True)
            print(f"written: {file.relative_to(PROJECT)}")


def _terminal(browser: Browser, command: str, shown: Incident) -> None:
    now = ["--now", format_time(shown.now)] if command == "check" else []
    done = subprocess.run(
        [sys.executable, "-m", "trunkwatch", command, "--config.file", "trunkwatch.yml", *now],
        cwd=shown.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    text = f"<span class=p>$ trunkwatch {command}</span>\n{escape(done.stdout)}"
    _shoot(browser, TERMINAL + text, "pre", command, dark=True)


def _shoot(browser: Browser, page: str, element: str, name: str, *, dark: bool) -> None:
    """Take a picture of one element of a page."""
    address = f"data:text/html;charset=utf-8,{quote(page)}"
    browser.view(1000, 200, dark=dark)
    browser.goto(address)
    width, height = browser.evaluate(
        "(({width, height}) => [Math.ceil(width), Math.ceil(height)])"
        f"(document.querySelector('{element}').getBoundingClientRect())"
    )
    browser.view(width, height, dark=dark)
    browser.goto(address)
    file = PICTURES / f"{name}.png"
    browser.shoot(file)
    print(f"written: {file.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
