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

from trunkwatch import __version__
from trunkwatch.addresses import job_path, trunk_path
from trunkwatch.app.parts import build_sources, compare_urls
from trunkwatch.config import load_config
from trunkwatch.demo.incident import INCIDENT
from trunkwatch.demo.play import steps
from trunkwatch.html.templating import static_files
from trunkwatch.metrics.exposition import Exposition
from trunkwatch.poller.totals import Counters
from trunkwatch.poller.trunk_engine import TrunkEngine
from trunkwatch.store import SqliteStore
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


@dataclass(frozen=True)
class Incident:
    """The pages during the incident.

    Attributes:
        pages: the application.
        paths: of the pages, by the names of their pictures.
        folder: holds the configuration and the results.
        now: the moment (seconds since the epoch).
    """

    pages: Pages
    paths: dict[str, str]
    folder: Path
    now: float


@contextmanager
def incident() -> Iterator[Incident]:
    """Yield the pages during the incident."""
    with tempfile.TemporaryDirectory(prefix="trunkwatch-pictures-") as name:
        folder = Path(name)
        now = _write(folder)
        config = load_config(str(folder / "trunkwatch.yml"))
        store, counters = SqliteStore(), Counters()
        engine = TrunkEngine(config, store, counters, lambda: now)
        for section, source in build_sources(config, counters, engine):
            refresh = source.refresh(engine.state(section.name))
            engine.ingest_refresh(section.name, refresh, lambda: 0.1)
        (trunk,) = engine.snapshot.trunks
        (broken,) = (job for job in trunk.jobs if job.broken)
        # The source has read its file today.
        snapshot = replace(engine.snapshot, trunks=(replace(trunk, data_at=now),))
        view = View(lambda: snapshot, compare_urls(config, snapshot), engine.columns_at)
        exposition = Exposition(lambda: snapshot, counters.totals, __version__)
        pages = Pages(lambda: view, exposition, lambda: now + 20, __version__)
        paths = {"grid": trunk_path(trunk.trunk), "job": job_path(broken.key)}
        yield Incident(pages, paths, folder, now)
        store.close()


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
    browser.view(1000, 200, dark=True)
    browser.goto(f"data:text/html;charset=utf-8,{quote(TERMINAL + text)}")
    width, height = browser.evaluate(
        "(({width, height}) => [Math.ceil(width), Math.ceil(height)])"
        "(document.querySelector('pre').getBoundingClientRect())"
    )
    browser.view(width, height, dark=True)
    browser.goto(f"data:text/html;charset=utf-8,{quote(TERMINAL + text)}")
    file = PICTURES / f"{command}.png"
    browser.shoot(file)
    print(f"written: {file.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
