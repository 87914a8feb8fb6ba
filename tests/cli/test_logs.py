"""Log lines: one record is one line, whatever it holds."""

import json
import logging
import sys

import pytest
from trunkwatch.cli.logs import FORMATS, JsonFormatter, LogfmtFormatter

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
