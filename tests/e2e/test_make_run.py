"""`make run`, as a new user runs it."""

import os
import re
import socket
import sys
import threading
from contextlib import closing
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
import requests
from trunkwatch.cli.main import main as trunkwatch
from trunkwatch.demo.incident import FIRST_BAD, sha_of
from trunkwatch.demo.run import main
from trunkwatch.demo.stack import HOST, free_port

from tests.support.screen import (
    END_SECONDS,
    environment_at,
    in_session,
    on_screen,
    open_terminal,
    read_terminal,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("run")


def command(*more: str) -> tuple[list[str], list[int]]:
    """Return the demo's command line on free ports, and these ports."""
    ports = [free_port() for _ in range(3)]
    flags = [f"--{name}-port={port}" for name, port in zip(NAMES, ports, strict=True)]
    return [sys.executable, "-m", "trunkwatch.demo.run", *flags, *more], ports


NAMES = ("exporter", "prometheus", "alertmanager")


def children(folder: Path) -> list[str]:
    """Return the command lines of processes that name `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_the_incident_fires_resolves_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """The streak rises to 3, the alert is printed, a fix resolves it, and Ctrl-C stops all."""
    arguments, ports = command("--interval=2")
    with on_screen(arguments, tmp_path, os.environ) as demo:
        ticket = "THE TICKET (dry run: nothing is sent): close pytorch/pytorch#1"
        demo.wait_for("streak 0 → 1", "streak 1 → 2", "streak 2 → 3", "FIRING", "RESOLVED", ticket)
        # The suspect whose run was cancelled is tested, and one is left in the ticket.
        demo.wait_for(
            f"confirm asked CI to test {sha_of(FIRST_BAD - 1)[:10]}: it passes",
            "Suspects: 1 commit, of which 1 tested",
        )
        printed = set(re.findall(r"https?://[^\s)>\]]+", demo.text))
        assert {_kind(text) for text in _opened(printed).values()} >= {"grid", "job", "runbook"}
        pages = [link for link in printed if f":{ports[0]}" in link]
        _opened({link for page in pages for link in _links(page)} - printed)
        demo.wait_for("the incident is over", seconds=60)
        assert len(children(tmp_path)) == len([*NAMES, "tickets", "confirm"])
        assert demo.interrupt() == 0
    screen = demo.text
    assert "Failure_Threshold=1, Number_of_Jobs_Failing=1" in screen
    assert "team broken-inductor, priority P2" in screen
    assert "THE TICKET (dry run: nothing is sent): open pytorch/pytorch#1" in screen
    assert "Traceback" not in screen
    assert children(tmp_path) == []
    for port in ports:
        with closing(socket.socket()) as probe:
            assert probe.connect_ex((HOST, port)) != 0


def _opened(links: set[str]) -> dict[str, str]:
    """Return the text of each link, all of which open on this machine."""
    found = {link: requests.get(link, timeout=10) for link in links}
    assert {link: answer.status_code for link, answer in found.items()} == dict.fromkeys(links, 200)
    assert {urlsplit(link).hostname for link in links} <= {"localhost"}
    return {link: answer.text for link, answer in found.items()}


def _links(page: str) -> set[str]:
    """Return the addresses that a page links to, without their fragments."""
    text = requests.get(page, timeout=10).text
    targets = re.findall(r"""(?:href|src)=["']?([^"'\s>]+)""", text)
    return {urldefrag(urljoin(page, unescape(target))).url for target in targets}


def _kind(page: str) -> str | None:
    marks = {"grid": "Jobs and commits", "job": "Who is on it", "runbook": "Mitigation"}
    return next((kind for kind, mark in marks.items() if mark in page), None)


def test_at_a_terminal_it_waits_for_its_reader(tmp_path: Path) -> None:
    """It stays broken until Enter; nothing is wider than the terminal or a wall of `%`."""
    columns = 80
    arguments, _ = command("--interval=1")
    environment = {**environment_at("xterm-256color"), "TMPDIR": str(tmp_path)}
    in_front = [sys.executable, "-c", IN_FRONT, *arguments]
    screen = bytearray()

    def has(text: str) -> bool:
        return text in STYLES.sub("", screen.decode(errors="replace"))

    with (
        open_terminal(columns) as (ours, theirs),
        in_session(in_front, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as demo,
    ):
        os.close(theirs)
        threading.Thread(target=read_terminal, args=(ours, screen), daemon=True).start()
        for text in ("is ready", "Ticket: open", "press Enter to land the fix"):
            eventually(partial(has, text), f"{text!r} on the screen", 120)
        assert not has("Revert")
        os.write(ours, b"\n")
        for text in ("Revert", "RESOLVED", "Ticket: close", "State: fixed", "is over"):
            eventually(partial(has, text), f"{text!r} on the screen", 60)
        os.write(ours, b"\x03")
        assert demo.wait(END_SECONDS) == 0
    text = screen.decode(errors="replace")
    assert "\x1b[1;31m" in text or "\x1b[31m" in text
    lines = STYLES.sub("", text).replace("\r\n", "\n").split("\n")
    assert [line for line in lines if len(line.rstrip()) > columns] == []
    assert [line for line in lines if line.count("%") > 1] == []
    assert "Traceback" not in text


STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\]8;[^\x1b]*\x1b\\")
"""Colours, and links of which a terminal shows only the text."""


IN_FRONT = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes a new session the foreground of its terminal, as a shell does, and runs a command."""


@pytest.mark.parametrize(
    ("command", "flag", "config"),
    [
        ("make run", "make run ARGS='--prometheus-port N'", "CONFIG"),
        ("trunkwatch demo", "trunkwatch demo --prometheus-port N", "--config"),
    ],
)
def test_errors_name_a_way_out_in_the_command_that_was_used(
    capfd: pytest.CaptureFixture[str], command: str, flag: str, config: str
) -> None:
    """A taken port and a missing file are one line each, and nothing is started."""
    with closing(socket.socket()) as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = [port if name == "prometheus" else free_port() for name in NAMES]
        flags = [f"--{name}-port={each}" for name, each in zip(NAMES, ports, strict=True)]
        flags += ["--config=missing.yml", "--pace=3", "--interval=1"]
        if command == "make run":
            code = main(flags)
        else:
            code = trunkwatch(["demo", *flags], standalone_mode=False)
    assert code == 2
    assert capfd.readouterr().err.splitlines() == [
        f"{command}: port {port} is taken, and prometheus wants it: stop what listens there, or run"
        f" `{flag}`",
        f"{command}: {config}=missing.yml: no such file",
    ]


def test_a_config_of_your_own_runs_on_the_same_stack(tmp_path: Path) -> None:
    """`make run CONFIG=my.yml` runs on that file and replays no incident."""
    config = tmp_path / "my.yml"
    config.write_text("sources: [{name: mine, type: recorded, path: mine.ndjson}]\n")
    sha = "a" * 40
    (tmp_path / "mine.ndjson").write_text(
        f'{{"kind":"commit","repo":"my/repo","branch":"main","sha":"{sha}"}}\n'
        f'{{"kind":"run","repo":"my/repo","branch":"main","sha":"{sha}","workflow":"ci",'
        '"job_name":"unit","status":"completed","conclusion":"failure"}\n'
    )
    arguments, _ = command("--config", str(config))
    with on_screen(arguments, tmp_path, os.environ) as demo:
        demo.wait_for("streak 0 → 1   unit")
        assert demo.interrupt() == 0
    assert "incident" not in demo.text
