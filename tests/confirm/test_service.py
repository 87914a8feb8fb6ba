"""`trunkwatch confirm` as a process, with a real exporter and a stand-in GitHub over HTTP."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import SECONDS, Served, acting, run_program, serving
from tests.confirm.builders import HOUR, breaks_at, history
from tests.confirm.stage import REPO
from tests.github.fake import TOKEN, FakeGitHub
from tests.github.faults import Kind
from tests.github.server import GitHubServer, serving_github
from tests.support.waiting import eventually

pytestmark = pytest.mark.live

CONFIG = """
sources:
  - {name: gh, type: github, api_url: "%(url)s", repos: [o/r], branches: [main], token_file: token,
     poll_interval: 1s}
confirm: {mode: act, api_url: "%(url)s"}
"""
STORED = ("--storage.path=confirm.db", "--token-file=token")


class Around:
    """The environment of one process.

    Attributes:
        folder: with the configuration.
        github: the stand-in, whose clock is two hours behind.
        exporter: reads it.
        flags: of the command line.
    """

    def __init__(self, folder: Path, github: GitHubServer, exporter: Served) -> None:
        self.folder = folder
        self.github = github
        self.exporter = exporter
        self.flags = (f"--exporter.url=http://127.0.0.1:{exporter.port}", *STORED)

    def job(self) -> dict[str, Any]:
        """Return the job in the exporter's JSON; empty until it was read."""
        found = self.exporter.get("/api/v1/trunk/o/r/main").json().get("jobs")
        return dict(found[0]) if found else {}


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Around]:
    """Run a GitHub with one suspect that was cancelled, and an exporter that has read it."""
    fake = FakeGitHub(time.time() - 2 * HOUR)
    history(fake.repo(REPO), "PCFFF", now=fake.now)
    breaks_at(fake.repos[REPO], 2)
    (tmp_path / "token").write_text(TOKEN)
    with serving_github(fake) as github:
        (tmp_path / "trunkwatch.yml").write_text(CONFIG % {"url": github.url})
        with serving(tmp_path) as exporter:
            made = Around(tmp_path, github, exporter)
            eventually(lambda: made.job().get("broken"), "an outage")
            yield made


@contextmanager
def confirming(folder: Path, *arguments: str, **variables: str) -> Iterator[Served]:
    """Run `trunkwatch confirm` on a free loopback port."""
    with acting("confirm", folder, *arguments, **variables) as process:
        yield Served(process)


def question(confirm: Served) -> dict[str, Any]:
    """Return the only question that is listed, once one is."""
    listed = eventually(lambda: confirm.get("/api/v1/confirm").json()["questions"], "a question")
    (found,) = listed
    return dict(found)


def test_it_finds_the_commit_across_a_kill(around: Around) -> None:
    """A request is sent once, a kill keeps it, and the exporter names one suspect."""
    with confirming(around.folder, *around.flags) as confirm:
        confirm.wait_for_log('msg="?CI asked"? ')
        confirm.process.kill()
        confirm.process.wait()
    around.github.fake.now += HOUR / 4
    eventually(lambda: around.job()["suspects"] == 1, "one suspect")
    with confirming(around.folder, *around.flags) as confirm:
        shown = question(confirm)
        assert (shown["kind"], shown["state"], shown["answer"]) == ("which", "answered", "P")
        eventually(lambda: confirm.get("/-/ready").ok, "ready")
        assert confirm.samples("trunkwatch_confirm_answers_total")['{kind="which"}'] == 1
        assert confirm.samples("trunkwatch_confirm_up") == {
            '{peer="ci"}': 1,
            '{peer="exporter"}': 1,
        }
        assert confirm.end() == 0
    assert len(around.github.reruns.accepted) == 1
    assert TOKEN not in "".join(confirm.log)


def test_it_only_shows_by_default(around: Around) -> None:
    """With `mode: ask` the question is proposed, and GitHub receives no request to repeat."""
    config = around.folder / "trunkwatch.yml"
    config.write_text(config.read_text().replace("mode: act, ", ""))
    variables = {"GITHUB_TOKEN": TOKEN}
    with confirming(around.folder, *around.flags[:2], **variables) as confirm:
        assert question(confirm)["state"] == "proposed"
        assert confirm.get("/api/v1/confirm").json()["mode"] == "ask"
        confirm.send(signal.SIGINT)
        confirm.wait_for_log("msg=stopping signal=SIGINT")
        assert confirm.process.wait(SECONDS) == 0
    assert around.github.reruns.accepted == []


def test_a_second_process_is_kept_out(around: Around) -> None:
    """It ends with code 2 and names the first."""
    with confirming(around.folder, *around.flags) as first:
        command = ["confirm", "--web.listen-address=127.0.0.1:0", *around.flags]
        done = run_program(command, around.folder, code=2)
        assert f"(trunkwatch confirm, process {first.process.pid} on " in done.stderr


def test_it_ends_soon_while_github_hangs(around: Around) -> None:
    """SIGTERM abandons a request without an answer; whether it was received is found out later."""
    around.github.fail_next(Kind.HANG, "POST .*/rerun")
    with confirming(around.folder, *around.flags) as confirm:
        confirm.wait_for_log('msg="?asking CI"? ')
        begin = time.monotonic()
        assert confirm.end() == 0
        assert time.monotonic() - begin < 10
    with confirming(around.folder, *around.flags) as confirm:
        assert question(confirm)["state"] in ("sending", "asked")
    assert len(around.github.reruns.accepted) == 1


def test_it_is_not_ready_without_its_peers(around: Around) -> None:
    """An exporter or a token that is missing is named, and the process goes on."""
    with confirming(around.folder, *around.flags[:2], "--token-file=none") as confirm:
        eventually(lambda: "round" not in confirm.get("/-/ready").text, "the first round")
        assert "ci: token_file none cannot be read" in confirm.get("/-/ready").text
        assert confirm.get("/-/healthy").ok
        assert confirm.end() == 0
    with confirming(around.folder, "--exporter.url=http://127.0.0.1:1", *STORED) as confirm:
        eventually(lambda: "exporter: " in confirm.get("/-/ready").text, "the exporter is named")


@pytest.mark.parametrize(
    ("section", "arguments", "error"),
    [
        ("", STORED, "confirm is missing, and nothing is run again without it"),
        ("confirm: {mode: now}", STORED, "confirm.mode: "),
        ("confirm: {}", ("--token-file=token",), "'--storage.path'"),
        ("confirm: {}", STORED[:1], "no token: name a file by --token-file, or set GITHUB_TOKEN"),
        ("confirm: {}", (*STORED, "--exporter.url=nowhere"), "--exporter.url: must be a URL"),
        ("confirm: {}", (*STORED, "--exporter.url=https://u:secret@x"), "TRUNKWATCH_EXPORTER_URL"),
        ("confirm: {}", (*STORED, "--web.listen-address=x"), "must be host:port or :port"),
        ("confirm: {}", ("--storage.path=no/c.db", STORED[1]), "does not exist; create it"),
    ],
)  # fmt: skip
def test_an_invalid_start_is_reported(
    section: str, arguments: tuple[str, ...], error: str, tmp_path: Path
) -> None:
    """An error names what to do, with exit code 2, before anything starts."""
    (tmp_path / "trunkwatch.yml").write_text(
        f"sources: [{{name: a, type: recorded, path: ci.ndjson}}]\n{section}\n"
    )
    done = run_program(["confirm", *arguments], tmp_path, code=2)
    assert error in done.stderr
    assert "secret" not in done.stderr
