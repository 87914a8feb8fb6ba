"""The plugin against leaks of secrets detects them in every kind of output."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.secrets import SECRETS, forms, leaks_in

ROOT = Path(__file__).parents[2]

USUAL = """
import logging, sys
from pathlib import Path
import requests
from trunkwatch.engine.facts import StateEntry
from trunkwatch.errors import NoAnswerError
from trunkwatch.store import SqliteStore
from trunkwatch.web import WebhookOnly, WebServer
from trunkwatch.web.answer import Answer

def kept(secret, path=":memory:"):
    store = SqliteStore(str(path))
    store.apply("ci", [StateEntry("key", f"x{secret}y")], 0.0)
    return store

def served(answer):
    server = WebServer("127.0.0.1:0", WebhookOnly(lambda _environ: answer))
    server.start()
    try:
        requests.post(f"http://127.0.0.1:{server.port}/webhook/github", timeout=30)
    finally:
        server.stop()

"""

TEST = """
def test_{name}(tmp_path):
    secret = {secret!r}
    {leak}
"""

LEAKS = {
    "print": "print(secret)",
    "stderr": "print(secret, file=sys.stderr)",
    "log": "logging.getLogger('trunkwatch.x').warning('with %s', secret)",
    "traceback": "try: raise ValueError(secret)\n    except ValueError: logging.exception('oh')",
    "error": "NoAnswerError(f'GET http://user:{secret}@host')",
    "page": "served(Answer('200 OK', 'text/plain', secret.encode()))",
    "header": "served(Answer('200 OK', 'text/plain', b'', (('X', secret),)))",
    "memory": "kept(secret).close()",
    "forgotten_memory": "kept(secret)",
    "file": "kept(secret, tmp_path / 'results.db').close()",
    "file_of_a_program": "(tmp_path / 'a.db').write_bytes(secret.encode())",
}


QUIET = {
    "a_note": "kept('nothing').close()",
    "a_page": "served(Answer('200 OK', 'text/plain', b'nothing'))",
    "an_error": "NoAnswerError('GET http://host')",
}


def outcomes(folder: Path, secret: str) -> dict[str, str]:
    """Run a test for each kind of leak in a subprocess; return each test's outcome by name."""
    texts = [
        TEST.format(name=name, leak=leak, secret=secret)
        for name, leak in {**LEAKS, **QUIET}.items()
    ]
    test = folder / "test_leaks.py"
    test.write_text(USUAL + "".join(texts), encoding="utf-8")
    flags = ["-p", "tests.support.secrets", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-c", os.devnull, *flags, str(test)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'exporter'}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(PASSED|FAILED) \S+::test_(\w+)", done.stdout, re.MULTILINE)
    assert len(found) == len(texts), done.stdout + done.stderr
    return {name: word for word, name in found}


@pytest.mark.slow
def test_a_leak_of_each_kind_fails_the_test_that_leaked(tmp_path: Path) -> None:
    """A test that leaks a secret in any way fails; tests without a leak pass, also after it."""
    found = outcomes(tmp_path, SECRETS[0])
    assert found == {**dict.fromkeys(LEAKS, "FAILED"), **dict.fromkeys(QUIET, "PASSED")}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
def test_every_way_of_writing_a_secret_is_known(secret: str, before: str) -> None:
    """A secret is found in plain text, in a URL, and in base64 at every offset."""
    whole = f"{before}{secret}:more".encode()
    assert leaks_in(b"x" + whole)
    assert leaks_in(quote(whole, safe="").encode())
    assert leaks_in(base64.b64encode(whole))
    assert not leaks_in(whole.replace(secret[3:5].encode(), b""))


def test_no_form_is_so_short_that_it_stands_anywhere() -> None:
    """Each searched text is long enough not to occur by chance."""
    assert all(len(form) >= 7 for secret in SECRETS for form in forms(secret))
