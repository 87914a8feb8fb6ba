"""`trunkwatch serve` as its own process: reloads, signals, restarts."""

import re
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.program import Served, run_program, serving, starting
from tests.support.rows import history, named, write_recorded
from tests.support.waiting import eventually

pytestmark = pytest.mark.live

CONFIG = """
sources:
  - {name: ci, type: recorded, path: ci.ndjson, poll_interval: 50ms}
groups:
  - {name: builders, team: %s}
"""
TEAM = re.compile(r'team="([^"]+)"')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration and a recorded file with a job that is broken."""
    (tmp_path / "trunkwatch.yml").write_text(CONFIG % "first")
    write_recorded(tmp_path / "ci.ndjson", history("P F F F"))
    return tmp_path


def team(samples: dict[str, float]) -> str:
    (labels,) = samples
    found = TEAM.search(labels)
    assert found
    return found.group(1)


def wait_until_ready(served: Served) -> None:
    eventually(lambda: served.get("/-/ready").ok, "ready", seconds=30)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(folder: Path, signum: signal.Signals) -> None:
    """A signal ends it with a log line and code 0, and frees its port."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        served.send(signum)
        served.wait_for_log(f"msg=stopping signal={signum.name}")
        assert served.process.wait(10) == 0
        with closing(socket.create_server(("127.0.0.1", served.port))):
            pass


def test_a_restart_serves_the_stored_history(folder: Path) -> None:
    """After a restart without the recorded file, /metrics has the values from before."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        assert list(served.samples("ci_job_broken").values()) == [1.0]
        assert served.end() == 0
    (folder / "ci.ndjson").unlink()
    with serving(folder, "--storage.path", "results.db") as served:
        eventually(lambda: served.samples("ci_job_broken"), "the stored history", seconds=30)
        assert list(served.samples("ci_job_broken").values()) == [1.0]
        served.wait_for_log("No such file")
        assert list(served.samples("ci_job_broken").values()) == [1.0]
        assert list(served.samples("trunkwatch_source_up").values()) == [0.0]
        assert served.end() == 0


def test_a_new_configuration_is_taken(folder: Path) -> None:
    """SIGHUP reads the file again: labels are the new ones, counters go on, nothing is missing."""
    with serving(folder) as served:
        wait_until_ready(served)
        assert team(served.samples("ci_job_broken")) == "first"
        (folder / "trunkwatch.yml").write_text(CONFIG % "second")
        served.send(signal.SIGHUP)
        served.wait_for_log("configuration reloaded")
        assert team(served.samples("ci_job_broken")) == "second"
        assert served.samples("trunkwatch_config_reload_success") == {"": 1.0}
        assert served.get("/-/ready").ok
        assert served.end() == 0


def test_a_bad_configuration_is_not_taken(folder: Path) -> None:
    """The old one stays in use, the log lists every problem, and a metric is 0 until a valid
    one has been read.
    """
    with serving(folder) as served:
        wait_until_ready(served)
        good = (folder / "trunkwatch.yml").read_text()
        (folder / "trunkwatch.yml").write_text("sources: []\ngruops: []\n")
        served.send(signal.SIGHUP)
        said = served.wait_for_log("reload failed, the old configuration stays").string
        assert "sources: must contain at least one entry" in said
        assert "gruops: unknown key" in said
        assert served.samples("trunkwatch_config_reload_success") == {"": 0.0}
        assert team(served.samples("ci_job_broken")) == "first"
        (folder / "trunkwatch.yml").write_text(good)
        served.send(signal.SIGHUP)
        served.wait_for_log("configuration reloaded")
        assert served.samples("trunkwatch_config_reload_success") == {"": 1.0}
        assert served.end() == 0


def test_news_arrive(folder: Path) -> None:
    """A file that changes is read again: a job that passes is mended, a new one is there."""
    with serving(folder) as served:
        wait_until_ready(served)
        write_recorded(folder / "ci.ndjson", history("P F F F P"), history("F . . . .", named("n")))
        eventually(lambda: len(served.samples("ci_job_broken")) == 2, "the new job", seconds=30)
        assert set(served.samples("ci_job_broken").values()) == {0.0}
        assert served.end() == 0


def test_a_port_that_is_taken(folder: Path) -> None:
    """One line, exit code 2, and the storage can be used by somebody else."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flags = ["--storage.path", "results.db", "--web.listen-address", address]
        done = run_program(["serve", *flags], folder, code=2)
    assert done.stdout == ""
    assert done.stderr == (
        f"trunkwatch: cannot listen on {address}: the port is taken by another program;"
        " give another --web.listen-address\n"
    )
    run_program(["check", "--storage.path", "results.db"], folder, code=1)


def test_check_beside_serve(folder: Path) -> None:
    """A `check` on the storage of a running `serve` answers, and neither disturbs the other."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        run_program(["check", "--storage.path", "results.db"], folder, code=1)
        assert list(served.samples("ci_job_broken").values()) == [1.0]
        assert list(served.samples("trunkwatch_source_up").values()) == [1.0]
        assert served.end() == 0


def test_many_reloads_do_not_delay_the_end(folder: Path) -> None:
    """350 SIGHUPs are a few reloads, and SIGTERM after them ends the process within 5 seconds."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        for _ in range(350):
            served.send(signal.SIGHUP)
        served.send(signal.SIGTERM)
        begun = time.monotonic()
        assert served.process.wait(20) == 0
        assert time.monotonic() - begun < 5.0


def test_an_early_reload_does_not_kill(folder: Path) -> None:
    """SIGHUP while the program is being imported is ignored: the configuration is read later."""
    with starting(folder) as process:
        ignored = re.compile(r"SigIgn:\s+\w*[13579bdf]$", re.MULTILINE)
        status = Path(f"/proc/{process.pid}/status")
        eventually(lambda: ignored.search(status.read_text()), "SIGHUP is ignored", seconds=30)
        process.send_signal(signal.SIGHUP)
        assert Served(process).end() == 0


def test_a_second_server_is_refused(folder: Path) -> None:
    """Two servers on one file would each miss what the other stores."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        flags = ["--storage.path", "results.db", "--web.listen-address", "127.0.0.1:0"]
        done = run_program(["serve", *flags], folder, code=2)
        assert done.stderr.startswith(
            "trunkwatch: storage results.db: another process uses it"
            f" (trunkwatch serve, process {served.process.pid} on "
        )
        served.process.kill()
        served.process.wait()
    with serving(folder, "--storage.path", "results.db") as served:
        assert served.end() == 0


def test_a_storage_that_cannot_be_evaluated_ends_it(folder: Path) -> None:
    """A page that is found damaged after the start ends the process with a message and code 2."""
    path = folder / "results.db"
    run_program(["check", "--storage.path", "results.db"], folder, code=1)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'observations'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    flags = ["--storage.path", "results.db", "--web.listen-address", "127.0.0.1:0"]
    done = run_program(["serve", *flags], folder, code=2)
    assert "trunkwatch: storage results.db: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_storage_that_is_deleted_is_reported(folder: Path) -> None:
    """The source and the storage fail, so that their alerts fire; the state is still served."""
    with serving(folder, "--storage.path", "results.db") as served:
        wait_until_ready(served)
        (folder / "results.db").unlink()
        served.wait_for_log("the file was deleted or replaced while it is in use")
        eventually(
            lambda: list(served.samples("trunkwatch_source_up").values()) == [0.0], "it is down"
        )
        assert list(served.samples("trunkwatch_storage_up").values()) == [0.0]
        assert list(served.samples("ci_job_broken").values()) == [1.0]
        assert served.end() == 0
