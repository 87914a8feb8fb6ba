"""The format of log lines: logfmt or JSON, one line each, on standard error.

The message is short and constant; what varies stands in fields, given to the logger as `extra`:
`log.info("stopping", extra={"signal": "SIGTERM"})`. The exception is
"listening on port 10077": programs that start Trunkwatch on a free port wait for it.
"""

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType

from trunkwatch.cli.repeated_lines import RepeatedLines
from trunkwatch.times import format_time

LEVELS = ("debug", "info", "warn", "error")

_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""Attributes that every record has; the others were given as `extra`."""


def _fields(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, str]:
    fields = {
        "ts": format_time(record.created),
        "level": "warn" if record.levelname == "WARNING" else record.levelname.lower(),
        "caller": record.name.removeprefix("trunkwatch."),
        "msg": record.getMessage(),
        **{key: str(value) for key, value in vars(record).items() if key not in _STANDARD},
    }
    if record.exc_info:
        fields["traceback"] = formatter.formatException(record.exc_info)
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return _in_quotes(_fields(record, self))


class LogfmtFormatter(logging.Formatter):
    """`key=value` pairs, as Prometheus' own programs write them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a line break inside a value cannot end it."""
        pairs = _fields(record, self).items()
        return " ".join(f"{key}={_quoted(value)}" for key, value in pairs)


def _quoted(value: str) -> str:
    plain = value and not any(c in value for c in ' "=\n\t\\') and value.isprintable()
    return value if plain else _in_quotes(value)


def _in_quotes(value: object) -> str:
    """JSON that is readable in any language, and is one line for every program that reads lines."""
    text = json.dumps(value, ensure_ascii=False)
    # JSON itself lets line separators and terminal control characters beyond ASCII pass.
    return text if text.isprintable() else json.dumps(value)


FORMATS: Mapping[str, type[logging.Formatter]] = MappingProxyType(
    {"logfmt": LogfmtFormatter, "json": JsonFormatter}
)


def set_up(level: str, form: str) -> None:
    """Send log lines of at least a level to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[form]())
    # Filters of a logger do not see the lines of other loggers, such as asyncio's.
    handler.addFilter(RepeatedLines())
    logging.basicConfig(
        level={"warn": "WARNING"}.get(level, level.upper()), handlers=[handler], force=True
    )
    # One line per connection is theirs to debug, not our users'.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
