"""A pytest plugin that fails every test that leaks a token, key or secret.

It searches every log line, the text of every TrunkwatchError, every served page and metric, all
output of the programs that tests start, and every storage.
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
import re2
from trunkwatch.errors import TrunkwatchError
from trunkwatch.store import SqliteStore
from trunkwatch.web import pages, program, webhook
from trunkwatch.web.answer import Answer, respond

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SECRETS = (
    "token-of-the-stand-in",  # tests/github/fake.py: TOKEN
    "secret-of-the-webhooks",  # of deliveries to a whole exporter
    "github_pat_11AAAAAAA0bbbbbbbbbbbbbb_cccccccccccccccc",  # tests of tokens
    "It's a Secret to Everybody",  # the example of GitHub's own documentation
    "a-t0ken-of-ours",  # the bearer token of deliveries to the tickets
    "hunter2",  # the token and the password of the contract of all sources
)
"""The tokens, passwords and secrets of the tests. A test that needs another one adds it here."""

SHAPES = (
    b"-----BEGIN RSA PRIVATE KEY",
    b"-----BEGIN PRIVATE KEY",
    b"eyJhbGciOi",  # a JWT: {"alg":
    b"ghs_secret",  # the installation tokens of tests/sources/github/test_app.py
    b"installed-",  # those of the fake GitHub
)
"""The first bytes of keys and tokens that are generated while tests run."""

STORED = ("*.db", "*.db-wal")
"""Patterns of the files of storages in a test's folder."""


def forms(secret: str) -> Iterator[bytes]:
    """Yield the encodings of a secret: plain, in a URL, in base64."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    for before in range(3):
        # Base64 encodes groups of three bytes, so the result depends on the secret's offset in its
        # group. A character is six bits; those at both ends depend on the neighbouring bytes.
        whole = base64.b64encode(bytes(before) + raw)
        yield whole[ceil(before * 8 / 6) : (before + len(raw)) * 8 // 6]


NEEDLES: tuple[bytes, ...] = tuple(
    dict.fromkeys([*SHAPES, *(form for secret in SECRETS for form in forms(secret))])
)


_ANY = re2.compile(b"|".join(re2.escape(needle) for needle in NEEDLES))
"""Finds any of them in one pass; looking for each takes ten times as long."""


def leaks_in(content: bytes) -> list[str]:
    """Return the encoded secrets that some bytes contain."""
    if _ANY.search(content) is None:
        return []
    return [needle.decode() for needle in NEEDLES if needle in content]


class LeakDetector(logging.Handler):
    """A collector of leaks in all output while tests run.

    Attributes:
        found: the leaks since the last call of `taken`, one line each.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.setFormatter(logging.Formatter())

    def search(self, where: str, content: bytes | str) -> None:
        """Search some output for secrets."""
        whole = content.encode("utf-8", "replace") if isinstance(content, str) else content
        self.found += [f"{where} holds {leak!r}" for leak in leaks_in(whole)]

    def emit(self, record: logging.LogRecord) -> None:
        """Search a log line, with its traceback."""
        self.search(f"the log of {record.name}", self.format(record))

    def search_files(self, folder: Path) -> None:
        """Search the storages in a test's folder."""
        for pattern in STORED:
            for path in folder.rglob(pattern):
                if path.is_file():
                    self.search(f"the storage {path.name}", path.read_bytes())

    def taken(self) -> list[str]:
        """Return the leaks found so far, and clear them."""
        found, self.found = self.found, []
        return list(dict.fromkeys(found))


DETECTOR = LeakDetector()

# ---------------------------------------------------------------------- hooks at each output


def _search_error(error: TrunkwatchError, *args: object) -> None:
    Exception.__init__(error, *args)
    DETECTOR.search(f"the text of {type(error).__name__}", " ".join(map(str, args)))


def _search_response(
    answer: Answer, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    zipped = ("Content-Encoding", "gzip") in answer.headers
    sent = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body.parts)
    body = gzip.decompress(sent) if zipped else sent
    DETECTOR.search(f"the page {environ['PATH_INFO']}", body + repr(answer.headers).encode())
    return respond(answer._replace(body=sent), environ, start_response)


def _search_store(store: SqliteStore) -> None:
    # A storage that could not be opened is empty; a closed one was searched when it was closed.
    connection: sqlite3.Connection | None = getattr(store, "_connection", None)
    if connection is None:
        return
    try:
        DETECTOR.search("the storage", connection.serialize())
    except sqlite3.Error:
        return


def _searching_first(close: Callable[[SqliteStore], None]) -> Callable[[SqliteStore], None]:
    def closing(store: SqliteStore) -> None:
        _search_store(store)
        close(store)

    return closing


PATCHES: tuple[Any, ...] = (
    mock.patch.object(TrunkwatchError, "__init__", _search_error),
    mock.patch.object(pages, "respond", _search_response),
    mock.patch.object(webhook, "respond", _search_response),
    mock.patch.object(program, "respond", _search_response),
    mock.patch.object(SqliteStore, "close", _searching_first(SqliteStore.close)),
    # For a storage that a test leaves to the garbage collector.
    mock.patch.object(SqliteStore, "__del__", _search_store, create=True),
)


def pytest_configure() -> None:
    """Install the hooks."""
    for patch in PATCHES:
        patch.start()
    logging.getLogger().addHandler(DETECTOR)
    logging.getLogger("trunkwatch").setLevel(logging.DEBUG)


def pytest_unconfigure() -> None:
    """Remove the hooks."""
    logging.getLogger().removeHandler(DETECTOR)
    for patch in PATCHES:
        patch.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test if any output during it contains a secret."""
    report = yield
    for title, text in report.sections:
        DETECTOR.search(title, text)
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and folder is not None:
        DETECTOR.search_files(folder)
    leaks = DETECTOR.taken()
    if leaks:
        report.outcome = "failed"
        report.longrepr = "a secret leaked:\n" + "\n".join(leaks)
    return report
