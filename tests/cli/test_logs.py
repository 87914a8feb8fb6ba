"""Log lines: one record is one line, whatever it holds."""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from trunkwatch.cli.logs import FORMATS, JsonFormatter, LogfmtFormatter
from trunkwatch.cli.repeated_lines import BURST, MAX_KINDS, WINDOW_SECONDS, RepeatedLines

from tests.support.clock import Clock

CREATED = 1_772_366_400.25
HOSTILE = {
    "line break": 'ok\nts=2026-01-01T00:00:00Z level=info msg="forged"',
    "carriage return": "ok\rforged",
    "NEL": "ok\x85forged",
    "line separator": "ok\u2028forged",
    "paragraph separator": "ok\u2029forged",
    "vertical tab": "ok\x0bforged",
    "escape": "\x1b[2Jgone",
    "C1 control": "\x9b2Jgone",
    "quotes": 'a" level=error msg="b',
    "backslash": "a\\",
    "surrogate": "\ud800",
}


def record(message: str, level: int = logging.INFO, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("trunkwatch.poller.poller", level, __file__, 1, "%s", (message,), None)
    made.created = CREATED
    vars(made).update(fields)
    return made


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("stopping", "stopping"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ('say "x"', '"say \\"x\\""'),
        ("a\nb", '"a\\nb"'),
        ("grün", "grün"),
        ("grüner Tag", '"grüner Tag"'),
    ],
)
def test_logfmt(message: str, shown: str) -> None:
    """A log line is key=value pairs, quoted where that is needed."""
    line = LogfmtFormatter().format(record(message, logging.WARNING))
    assert line == f"ts=2026-03-01T12:00:00.250000Z level=warn caller=poller.poller msg={shown}"


def test_fields_follow_the_message() -> None:
    """Every value that was given as `extra` is a field of the line, in both formats."""
    made = record("refresh failed", source="ci", error=ValueError("no such file"))
    assert (
        LogfmtFormatter()
        .format(made)
        .endswith('msg="refresh failed" source=ci error="no such file"')
    )
    shown = json.loads(JsonFormatter().format(made))
    assert (shown["source"], shown["error"]) == ("ci", "no such file")


def test_json() -> None:
    """A log line is one JSON object."""
    line = JsonFormatter().format(record("grüner Tag"))
    assert line == (
        '{"ts": "2026-03-01T12:00:00.250000Z", "level": "info", "caller": "poller.poller",'
        ' "msg": "grüner Tag"}'
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_nothing_forges_a_line(form: str, message: str) -> None:
    """No character of a message ends the line for a program or is a command to a terminal."""
    line = FORMATS[form]().format(record(message))
    assert line.splitlines() == [line]
    assert line.isprintable()


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_messages_can_be_read_back(message: str) -> None:
    """A program reads the logged message unchanged, in both formats."""
    assert json.loads(JsonFormatter().format(record(message)))["msg"] == message
    shown = LogfmtFormatter().format(record(message)).partition(" msg=")[2]
    assert json.loads(shown) == message


@pytest.mark.parametrize("form", FORMATS)
def test_an_exception_is_one_line_too(form: str) -> None:
    """A traceback is a field of its record."""
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        failed = record("internal error", logging.ERROR)
        failed.exc_info = sys.exc_info()
    line = FORMATS[form]().format(failed)
    assert line.splitlines() == [line]
    assert "Traceback" in line
    assert "first\\nsecond" in line


# ---------------------------------------------------------------------- repeated lines


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def written(clock: Clock) -> Iterator[list[logging.LogRecord]]:
    """Send the lines of every logger through the limit, as `set_up` does."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.addFilter(RepeatedLines(clock))
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    logging.getLogger().addHandler(handler)
    yield records
    logging.getLogger().removeHandler(handler)


log = logging.getLogger("trunkwatch.test")


def fail(error: Exception, number: int) -> None:
    try:
        raise error
    except OSError:
        log.exception("request failed", extra={"path": f"/{number}"})


def test_equal_lines_are_limited_and_the_next_has_their_number(
    clock: Clock, written: list[logging.LogRecord]
) -> None:
    """A burst is written in each minute, tracebacks too, whatever the path of a request is."""
    for number in range(BURST + 5):
        fail(OSError(24, "Too many open files"), number)
    assert len(written) == BURST
    clock.now = WINDOW_SECONDS
    fail(OSError(24, "Too many open files"), 0)
    fail(OSError(24, "Too many open files"), 0)
    assert [vars(each).get("suppressed") for each in written[-2:]] == [5, None]
    line = LogfmtFormatter().format(written[-2])
    assert " suppressed=5 " in line
    assert len(written) == BURST + 2


def test_a_different_line_is_never_held_back(written: list[logging.LogRecord]) -> None:
    """Another message, level, logger, error or trunk is another line."""
    lines: list[Callable[[], None]] = [
        lambda: log.warning("a"),
        lambda: log.error("a"),
        lambda: log.warning("b"),
        lambda: logging.getLogger("asyncio").warning("a"),
        lambda: log.warning("a", extra={"source": "ci"}),
        lambda: log.warning("a", extra={"in_thread": "poll-ci"}),
        lambda: log.warning("a", extra={"repo": "o/r", "branch": "main"}),
        lambda: log.warning("a", extra={"repo": "o/r", "branch": "next"}),
        lambda: fail(OSError("x"), 1),
        lambda: fail(ConnectionResetError("x"), 1),
    ]
    for line in lines:
        before = len(written)
        for _ in range(2 * BURST):
            line()
        assert len(written) == before + BURST


def test_a_line_of_another_thread_is_equal(written: list[logging.LogRecord]) -> None:
    """Eight threads answer requests, and would fill the disk together."""
    both = threading.Barrier(2)

    def fails() -> None:
        both.wait(timeout=10)
        for number in range(BURST):
            fail(OSError("x"), number)

    threads = [threading.Thread(target=fails) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == BURST


def test_values_in_the_messages_of_libraries_make_no_difference(
    written: list[logging.LogRecord],
) -> None:
    """Asyncio appends values in further lines, urllib3 as arguments."""
    for number in range(50):
        logging.getLogger("asyncio").error(f"socket.accept() out of system resource\n{number}")
        logging.getLogger("urllib3").error("Connection pool is full, discarding %s", number)
    assert len(written) == 2 * BURST


def test_the_memory_of_lines_is_bounded(clock: Clock, written: list[logging.LogRecord]) -> None:
    """Beyond a number of trunks, lines that differ in the trunk alone are equal for a minute."""
    for number in range(3 * MAX_KINDS):
        log.warning("a", extra={"repo": f"o/{number}"})
    log.warning("b")
    assert len(written) == MAX_KINDS + BURST + 1
    clock.now = WINDOW_SECONDS
    log.warning("a", extra={"repo": "o/new"})
    assert vars(written[-1])["repo"] == "o/new"
