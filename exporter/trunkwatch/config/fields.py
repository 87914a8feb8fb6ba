"""The value types of the configuration."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo

from trunkwatch import patterns
from trunkwatch.quoting import has_login, quoted
from trunkwatch.urls import is_server

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdw]))+")
_DURATION_PART = re.compile(r"(\d+)(ms|[smhdw])")

MAX_DURATION_SECONDS = 5200 * _UNITS["w"]
"""About a century, which is below the longest timeout that Python's threads accept."""


MAX_NAME_BYTES = 200
"""Bytes of a name that becomes a label: below the usual limit of a label's value."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that a name which becomes a label must not have."""

MAX_INTEGER = 2**63 - 1
"""The largest integer that SQLite can store; numbers of thousands of digits cannot be shown."""

MIN_KEEP = 36 * _UNITS["d"]
"""Results must be kept for longer than the longest attempt, see `domain.claimed_times`."""


def parse_duration(value: object) -> float:
    """Return the seconds of a duration in Prometheus' notation.

    Raises:
        ValueError: the value is not a duration.
    """
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError("must be a duration such as 60s, 15m, 36h or 8d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(value))
    if seconds <= 0:
        raise ValueError("must be more than zero, such as 60s")
    if seconds > MAX_DURATION_SECONDS:
        raise ValueError("must be at most 5200w")
    return seconds


def _pattern(value: object) -> patterns.Pattern:
    if not isinstance(value, str):
        raise ValueError("must be a regular expression in quotes, such as '.*inductor.*'")
    return patterns.Pattern(value)


def _end_of_exemption(value: object) -> float:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2026-12-01") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise ValueError("must be a date such as 2026-12-01")
    try:
        # Convert to UTC here: a date near year 9999 may have no UTC representation.
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except OverflowError:
        raise ValueError("must be a date such as 2026-12-01") from None


def _from_folder(value: str, info: ValidationInfo) -> str:
    try:
        is_path = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:  # half a surrogate pair
        is_path = False
    if not is_path:
        raise ValueError("must be a path, without characters that no file name has")
    if "://" in value:
        # Do not repeat the value: it may contain a password.
        raise ValueError("must be the path of a file or folder, not an address")
    folder = (info.context or {}).get("folder", ".")
    return str(Path(folder) / value)


Location = Annotated[str, Field(min_length=1), AfterValidator(_from_folder)]
"""A path; a relative one starts from the folder of the configuration file."""


def label_name(value: str) -> str:
    """Return a name that becomes the value of a label, checked.

    Raises:
        ValueError: it has more than `MAX_NAME_BYTES`, or a line break or another control character:
            no pattern of a rule or a route expects one; or it is an address with credentials,
            which metrics and pages would show.
    """
    if CONTROL.search(value):
        raise ValueError(f"must have no line break and no control character (got {quoted(value)})")
    if has_login(value):
        raise ValueError("must be a name, not an address with a user or a password")
    size = len(value.encode("utf-8", "replace"))
    if size > MAX_NAME_BYTES:
        raise ValueError(f"must be at most {MAX_NAME_BYTES} bytes in UTF-8 (got {size})")
    return value


Name = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""

LabelName = Annotated[str, Field(min_length=1), AfterValidator(label_name)]
"""A name that becomes the value of a label: a longer one would be cut, and routed by no rule."""


def _alerts_name(value: str) -> str:
    if not re.fullmatch(r"[\w.-]+", value):
        raise ValueError(
            f"must be one word of letters, digits, _, - and dots (got {quoted(value)})"
        )
    return value


AlertsName = Annotated[LabelName, AfterValidator(_alerts_name)]
"""A name that becomes the value of a label of every alert."""


def _url(value: str) -> str:
    if not is_server(value):
        # Do not repeat the value: it may contain a password.
        raise ValueError("must be a URL such as http://127.0.0.1:8010")
    return value


Url = Annotated[str, AfterValidator(_url)]
"""The address of a server; a field of one that may have a password is not shown (`repr=False`)."""


def _repo(value: str) -> str:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", value):
        raise ValueError(f"must be owner/name (got {quoted(value)})")
    return label_name(value)


TICKET_REPOS: Mapping[str, tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        "github": (re.compile(r"[\w.-]+/[\w.-]+"), "owner/name"),
        "gitlab": (re.compile(r"[\w.-]+(?:/[\w.-]+)+"), "a project's path such as group/project"),
    }
)
"""The form of the repository of an issue, and its name in errors, by the type of the tickets."""


def ticket_repo(value: str, kind: str) -> str:
    """Return the repository of tickets, checked.

    Args:
        value: of the key.
        kind: the type of the tickets.

    Raises:
        ValueError: the value is neither such a name nor the placeholder `{repo}`.
    """
    form, name = TICKET_REPOS[kind]
    if value != "{repo}" and not form.fullmatch(value):
        raise ValueError(f"must be {name} or '{{repo}}' (got {quoted(value)})")
    return value


def _zone(value: str) -> str:
    # UTC is valid even on a machine without a time zone database.
    if value != "UTC":
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            raise ValueError(
                f"must be a time zone installed here, such as Europe/Paris (got {quoted(value)})"
            ) from None
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"must be a number above 0 and up to 1, such as 0.5 (got {quoted(value)})")
    return float(value)


RepoName = Annotated[str, AfterValidator(_repo)]
"""A repository on GitHub, as owner/name."""

Share = Annotated[float, BeforeValidator(_share)]
"""A fraction above 0 and up to 1."""

AtLeastOne = Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER)]
"""A positive integer; strict, because lax validation accepts `true` as 1."""

Flag = Annotated[bool, Field(strict=True)]
"""True or false; strict, because lax validation also accepts 1 and 'off'."""

Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds, written as in Prometheus: `60s`, `1h30m`, `8d`."""


def _keep(value: object) -> float | None:
    if value in ("forever", None):
        return None
    try:
        seconds = parse_duration(value)
    except ValueError:
        raise ValueError("must be a duration such as 90d, or forever") from None
    if seconds < MIN_KEEP:
        raise ValueError(f"must be 36d or more (got {value}), or forever: a job may run for 35d")
    return seconds


Keep = Annotated[float | None, BeforeValidator(_keep)]
"""Seconds, written as a duration of at least `MIN_KEEP`; None for `forever`."""

Pattern = Annotated[patterns.Pattern, PlainValidator(_pattern)]
"""A regular expression; it always has to match in full."""

Until = Annotated[float, BeforeValidator(_end_of_exemption)]
"""Seconds since the epoch, written as a date (its first moment, UTC) or a date with a time."""

Zone = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone, such as Europe/Paris."""
