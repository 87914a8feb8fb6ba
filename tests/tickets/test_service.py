"""`trunkwatch tickets` as a process, with a real exporter and a stand-in GitHub."""

import json
import signal
import time
from pathlib import Path

import pytest
import requests

from tests.cli.program import SECONDS, run_program
from tests.github.fake import TOKEN
from tests.support.rows import TRUNK
from tests.support.waiting import eventually
from tests.tickets.around import CONFIG, LABELS, SECRET, STORED, Around, keeping
from tests.tickets.builders import delivery
from tests.tickets.stage import CLIENTS

pytestmark = pytest.mark.live


@pytest.mark.parametrize("around", list(CLIENTS), indirect=True)
def test_an_issue_lives_from_the_first_alert_to_the_repair(around: Around) -> None:
    """A delivery opens the issue, a kill keeps it, and the fix closes it."""
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        assert tickets.deliver(token=TOKEN).status_code == 401
        assert tickets.deliver().status_code == 200
        tickets.wait_for_log("operation=open issue=1 issue_repo=o/r ")
        tickets.process.kill()
        tickets.process.wait()
    (issue,) = around.github.issues.all(TRUNK.repo)
    assert issue.title == "[P1] builders jobs broken for 3 commits in a row on o/r main"
    assert issue.labels == ["Pri:P1", "Team:first", "Source:trunkwatch", "ci"]
    assert "CET" in issue.body
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        around.record("P F F F P")
        around.pager.alerts = []

        def closed() -> bool:
            assert tickets.deliver("resolved").text == "0 firing, 1 resolved, 0 ignored\n"
            return issue.state == "closed"

        eventually(closed, "closed")
        # The metric is counted after GitHub's answer, which the stand-in sends after the change.
        tickets.wait_for_log("operation=close ")
        page = tickets.get("/metrics").text
        assert 'trunkwatch_tickets_operations_total{operation="close"} 1.0' in page
        assert TOKEN not in page
        assert tickets.end() == 0
    assert TOKEN not in "".join(tickets.log)
    assert SECRET not in "".join(tickets.log)
    assert len(around.github.issues.all(TRUNK.repo)) == 1


def test_a_dry_run_prints_and_sends_nothing(around: Around) -> None:
    """A dry run needs neither a token nor a file, and prints the issue."""
    with keeping(around.folder, *around.flags, "--dry-run") as tickets:
        assert tickets.deliver().status_code == 200
        assert tickets.process.stdout is not None
        lines = [tickets.process.stdout.readline().rstrip("\n") for _ in range(4)]
    assert lines == [
        "--- open o/r#1; labels: Pri:P1, Team:first, Source:trunkwatch, ci; assigned to: nobody",
        "# [P1] builders jobs broken for 3 commits in a row on o/r main",
        "",
        "**1 job of the group `builders` is broken on `o/r` `main`,"
        " for up to 3 commits in a row.**",
    ]
    assert around.github.log == []
    assert not list(around.folder.glob("*.db*"))


def test_it_is_ready_only_when_it_can_work(around: Around) -> None:
    """Without any work, a missing token and each peer that does not answer are named."""
    (around.folder / "token").unlink()
    around.pager.is_up = False
    flags = [around.flags[1], around.flags[2], "--exporter.url=http://127.0.0.1:1"]
    with keeping(around.folder, *flags, *STORED) as tickets:
        tickets.wait_for_log("peer cannot be used.* peer=github")
        eventually(lambda: "round" not in tickets.get("/-/ready").text, "the first round")
        answer = tickets.get("/-/ready")
        assert answer.status_code == 503
        problems = [line.split(": ", 2)[1] for line in answer.text.splitlines()]
        assert problems == ["alertmanager", "exporter", "github"]
        assert "token_file token cannot be read (No such file or directory)" in answer.text
    (around.folder / "token").write_text(TOKEN)
    around.pager.is_up = True
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        eventually(lambda: tickets.get("/-/ready").ok, "ready")
    assert around.github.log == []


def test_once_prints_what_would_be_done_now(around: Around) -> None:
    """It needs neither a token nor a delivery, and knows the issues of a process that runs."""
    once = ["tickets", "--dry-run", "--once", *around.flags]
    done = run_program(once, around.folder)
    assert done.stdout.startswith("--- open o/r#1; labels: Pri:P1, Team:first")
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        tickets.deliver()
        around.issue_is("open")
        tickets.wait_for_log("operation=open ")
        again = run_program([*once, "--storage.path=tickets.db"], around.folder)
        assert again.stdout == "Nothing to do.\n"
    around.pager.is_up = False
    failed = run_program(once, around.folder, code=2)
    assert "HTTP 503" in failed.stderr


def test_a_second_process_is_kept_out_and_takes_over(around: Around) -> None:
    """A second process ends with code 2 and names the first; once that is killed, it starts."""
    with keeping(around.folder, *around.flags, *STORED) as first:
        done = run_program(
            ["tickets", "--web.listen-address=127.0.0.1:0", *around.flags, *STORED],
            around.folder, code=2,
        )  # fmt: skip
        assert f"(trunkwatch tickets, process {first.process.pid} on " in done.stderr
        first.process.kill()
        first.process.wait()
        with keeping(around.folder, *around.flags, *STORED) as second:
            second.deliver()
            around.issue_is("open")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--token-file=token"], "--storage.path is missing"),
        ([*STORED, "--once"], "--once prints what would be done: add --dry-run"),
        (["--storage.path=t.db"], "no token: name a file by --token-file, or set GITHUB_TOKEN"),
        ([*STORED, "--exporter.url=nowhere"], "--exporter.url: must be a URL such as"),
        ([*STORED, "--exporter.url=http://[::1"], "--exporter.url: must be a URL such as"),
        ([*STORED, "--exporter.url=http://x:99999"], "--exporter.url: must be a URL such as"),
        (
            [*STORED, "--exporter.url=http://127.0.0.1:1", "--exporter.url=nowhere"],
            "--exporter.url: must be a URL such as",
        ),
        (
            [*STORED, "--alertmanager.url=http://u:secret@x"],
            "leave the flag out and set the environment variable TRUNKWATCH_ALERTMANAGER_URL",
        ),
        (
            [*STORED, "--exporter.url=https://x", "--exporter.url=https://u:secret@x"],
            "leave the flag out and set the environment variable TRUNKWATCH_EXPORTER_URL",
        ),
        ([*STORED, "--auth.token-file=none"], "--auth.token-file none cannot be read"),
        ([*STORED, "--web.listen-address=x"], "must be host:port or :port"),
    ],
)
def test_an_invalid_flag_is_reported_before_anything_starts(
    arguments: list[str], error: str, tmp_path: Path
) -> None:
    """An error is one line on standard error, with exit code 2."""
    (tmp_path / "trunkwatch.yml").write_text(CONFIG % "http://127.0.0.1:1")
    done = run_program(["tickets", *arguments], tmp_path, code=2)
    assert error in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_secrets_may_come_from_the_environment(around: Around) -> None:
    """The token is read from GITHUB_TOKEN, a password from the variable of its address."""
    exporter, alertmanager, secret = around.flags
    variables = {
        "GITHUB_TOKEN": TOKEN,
        "TRUNKWATCH_ALERTMANAGER_URL": alertmanager.partition("=")[2].replace("//", "//u:p@"),
    }
    flags = (exporter, secret, "--storage.path=tickets.db")
    with keeping(around.folder, *flags, **variables) as tickets:
        tickets.deliver()
        around.issue_is("open")
        assert around.pager.authorization == "Basic dTpw"


@pytest.mark.parametrize("separator", [",", " ", ", "])
def test_several_exporters_may_come_from_the_environment(around: Around, separator: str) -> None:
    """One address of the variable that does not answer is logged, and hides no trunk."""
    exporter, *flags = around.flags
    urls = separator.join(("http://127.0.0.1:1", exporter.partition("=")[2]))
    with keeping(around.folder, *flags, *STORED, TRUNKWATCH_EXPORTER_URL=urls) as tickets:
        tickets.wait_for_log("exporter without an answer.*127.0.0.1:1/.*refused")
        tickets.deliver()
        around.issue_is("open")
        eventually(lambda: tickets.get("/-/ready").ok, "ready")


def test_a_variable_without_an_exporter_is_refused(tmp_path: Path) -> None:
    """A list without any address does not make every trunk unknown."""
    (tmp_path / "trunkwatch.yml").write_text(CONFIG % "http://127.0.0.1:1")
    variables = {"TRUNKWATCH_EXPORTER_URL": " , "}
    done = run_program(["tickets", *STORED], tmp_path, code=2, variables=variables)
    assert "--exporter.url: must be a URL such as" in done.stderr


def test_an_alert_that_cannot_be_read_does_not_hold_up_the_others(around: Around) -> None:
    """The delivery is answered with 200; log, answer and metric report the alert."""
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        good = {"status": "firing", "labels": LABELS}
        answer = requests.post(
            f"http://127.0.0.1:{tickets.port}/alerts",
            data=json.dumps(delivery(good, {"status": "firing"})),
            headers={"Authorization": f"Bearer {SECRET}"},
            timeout=SECONDS,
        )
        assert (answer.status_code, answer.text) == (
            200, "1 firing, 0 resolved, 0 ignored, 1 skipped: alerts[1]: labels must be an object\n"
        )  # fmt: skip
        tickets.wait_for_log("level=warn .*problems=.*labels must be an object")
        around.issue_is("open")
        page = tickets.get("/metrics").text
        assert 'trunkwatch_tickets_alerts_total{outcome="malformed"} 1.0' in page
        assert 'trunkwatch_tickets_alerts_total{outcome="firing"} 1.0' in page
        assert tickets.end() == 0


def test_a_signal_ends_it_with_code_0(around: Around) -> None:
    """SIGINT ends the process with code 0, as SIGTERM does."""
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        tickets.send(signal.SIGINT)
        tickets.wait_for_log("msg=stopping signal=SIGINT")
        assert tickets.process.wait(SECONDS) == 0


def test_it_ends_soon_while_github_hangs(around: Around) -> None:
    """SIGTERM abandons a request without an answer; the plan is stored and resumed later."""
    with keeping(around.folder, *around.flags, *STORED) as tickets:
        around.github.latency = 20.0
        assert tickets.deliver().status_code == 200
        eventually(lambda: around.github.log, "a request has arrived")
        begun = time.monotonic()
        assert tickets.end() == 0
        assert time.monotonic() - begun < 5.5
    around.github.latency = 0.0
    with keeping(around.folder, *around.flags, *STORED):
        around.issue_is("open")
