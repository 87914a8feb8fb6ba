"""One assertion over all tests: no token, key or secret gets into anything that people see.

A pytest plugin. It reads every log line, every text of an error of ours, every page and metric that
is served, all output of the programs that tests start, and what each storage holds; a secret in any
of them fails the test that let it out.
"""

import base64
import gzip
import logging
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote

import pytest
from trunkwatch.errors import TrunkwatchError
from trunkwatch.store import SqliteStore
from trunkwatch.web import alerts, pages, webhook
from trunkwatch.web.answer import Answer, respond

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECRETS = (
    "token-of-the-stand-in",  # tests/github/world.py: TOKEN
    "secret-of-the-webhooks",  # of deliveries to a whole exporter
    "github_pat_11AAAAAAA0bbbbbbbbbbbbbb_cccccccccccccccc",  # tests of tokens
    "It's a Secret to Everybody",  # the example of GitHub's own documentation
    "a-t0ken-of-ours",  # the bearer token of deliveries to the tickets
    "hunter2",  # the token and the password of the contract of all sources
)
"""What tests use as tokens, passwords and secrets. A test that needs another one adds it here."""

SHAPES = (
    b"-----BEGIN RSA PRIVATE KEY",
    b"-----BEGIN PRIVATE KEY",
    b"eyJhbGciOi",  # a JWT: {"alg":
    b"ghs_secret",  # the installation tokens of tests/sources/github/test_app.py
    b"installed-",  # those of the stand-in
)
"""What keys and tokens begin with that are made while tests run."""

STORED = ("*.db", "*.db-wal")
"""Files that storages leave in a test's folder."""


def forms(secret: str) -> Iterator[bytes]:
    """Yield the ways in which a secret may be written: as it is, in a URL, in base64."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    for before in range(3):
        # Where the secret begins within three bytes decides how base64 writes it. A character is
        # six bits; those at the ends depend on what stands beside the secret.
        whole = base64.b64encode(bytes(before) + raw)
        yield whole[ceil(before * 8 / 6) : (before + len(raw)) * 8 // 6]


NEEDLES: tuple[bytes, ...] = tuple(
    dict.fromkeys([*SHAPES, *(form for secret in SECRETS for form in forms(secret))])
)


def leaks_in(content: bytes) -> list[str]:
    """Return which secrets some bytes hold, in which form."""
    return [needle.decode() for needle in NEEDLES if needle in content]


class Watch(logging.Handler):
    """Looks at everything that comes out while tests run.

    Attributes:
        found: what leaked since it was asked last, one line each.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.setFormatter(logging.Formatter())

    def look(self, where: str, content: bytes | str) -> None:
        """Look for secrets in something that came out."""
        whole = content.encode("utf-8", "replace") if isinstance(content, str) else content
        self.found += [f"{where} holds {leak!r}" for leak in leaks_in(whole)]

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a line of the log, with its traceback."""
        self.look(f"the log of {record.name}", self.format(record))

    def look_at_files(self, folder: Path) -> None:
        """Look at the storages that a test has left in its folder."""
        for pattern in STORED:
            for path in folder.rglob(pattern):
                if path.is_file():
                    self.look(f"the storage {path.name}", path.read_bytes())

    def taken(self) -> list[str]:
        """Return what leaked, and forget it."""
        found, self.found = self.found, []
        return list(dict.fromkeys(found))


WATCH = Watch()

# ---------------------------------------------------------------------- where things come out


def _note_error(error: TrunkwatchError, *args: object) -> None:
    Exception.__init__(error, *args)
    WATCH.look(f"the text of {type(error).__name__}", " ".join(map(str, args)))


def _give(
    answer: Answer, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    zipped = ("Content-Encoding", "gzip") in answer.headers
    body = gzip.decompress(answer.body) if zipped else answer.body
    WATCH.look(f"the page {environ['PATH_INFO']}", body + repr(answer.headers).encode())
    return respond(answer, environ, start_response)


def _look_at_store(store: SqliteStore) -> None:
    # A storage that could not be opened has nothing; one that is closed has been looked at.
    connection: sqlite3.Connection | None = getattr(store, "_connection", None)
    if connection is None:
        return
    try:
        WATCH.look("the storage", connection.serialize())
    except sqlite3.Error:
        return


def _looking_first(close: Callable[[SqliteStore], None]) -> Callable[[SqliteStore], None]:
    def closing(store: SqliteStore) -> None:
        _look_at_store(store)
        close(store)

    return closing


PATCHES: tuple[Any, ...] = (
    mock.patch.object(TrunkwatchError, "__init__", _note_error),
    mock.patch.object(pages, "respond", _give),
    mock.patch.object(webhook, "respond", _give),
    mock.patch.object(alerts, "respond", _give),
    mock.patch.object(SqliteStore, "close", _looking_first(SqliteStore.close)),
    # Of a storage that a test leaves to the garbage collector.
    mock.patch.object(SqliteStore, "__del__", _look_at_store, create=True),
)


def pytest_configure() -> None:
    """Begin to look."""
    for patch in PATCHES:
        patch.start()
    logging.getLogger().addHandler(WATCH)
    logging.getLogger("trunkwatch").setLevel(logging.DEBUG)


def pytest_unconfigure() -> None:
    """Leave everything as it was."""
    logging.getLogger().removeHandler(WATCH)
    for patch in PATCHES:
        patch.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test when anything that came out meanwhile holds a secret."""
    report = yield
    for title, text in report.sections:
        WATCH.look(title, text)
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and folder is not None:
        WATCH.look_at_files(folder)
    leaks = WATCH.taken()
    if leaks:
        report.outcome = "failed"
        report.longrepr = "a secret came out:\n" + "\n".join(leaks)
    return report
