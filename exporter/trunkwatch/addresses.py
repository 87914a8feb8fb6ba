"""The addresses of the pages.

    /trunk/<repo>/<branch>
    /trunk/<repo>/<branch>/job/<workflow>/<job name>
    /trunk/<repo>/<branch>/outage/<workflow>/<job name>/<first bad>

The slashes of a repo separate segments; any other text is one segment, percent-encoded. Browsers
drop the segments `.` and `..`, proxies the empty one, and `job` and `outage` are markers: these get
a `~` in front, as do texts that begin with one. So each address has one meaning.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.errors import UsageError

TRUNK, JOB, OUTAGE, RUNBOOKS = "/trunk/", "job", "outage", "/runbooks/"
_ESCAPE = "~"
_BASE = re.compile(r"https?://[^\s/?#<>\"\\|`$]+", re.ASCII | re.IGNORECASE)
"""An address without a path: links on the pages begin at the root of their server."""
_RESERVED = frozenset({"", ".", "..", JOB, OUTAGE})
TYPED_LIMIT = 1_000
"""Characters of a path that somebody may have typed: each of its slashes gives a reading."""


def base_address(flag: str, text: str) -> str:
    """Return the address of a server without a slash at its end.

    Args:
        flag: the name of the flag that gives it, for the error.
        text: as given.

    Raises:
        UsageError: it is something else, or has a path.
    """
    address = text.rstrip("/")
    if not _BASE.fullmatch(address) or "@" in address:
        raise UsageError(
            f"{flag}: must be the address of a server as a browser reaches it, without a path and"
            " without a password, such as https://trunkwatch.example.com"
        )
    return address


def peers_pattern(flag: str, text: str) -> str:
    """Return the pattern of the addresses of several servers, without a slash at its end.

    Args:
        flag: the name of the flag that gives it, for the error.
        text: as given, with {shard} for the number of a server.

    Raises:
        UsageError: {shard} is missing, or it is no address.
    """
    if "{shard}" not in text:
        example = "such as http://trunkwatch-{shard}:10077"
        raise UsageError(f"{flag}: must contain {{shard}} for the number of a shard, {example}")
    base_address(flag, text.replace("{shard}", "1"))
    return text.rstrip("/")


class Place(NamedTuple):
    """A page.

    Attributes:
        trunk: whose page it is.
        job: the job, if it is about one.
        first_bad: a commit's hash, if it is about the outage that began there.
    """

    trunk: Trunk
    job: JobKey | None = None
    first_bad: str | None = None


def trunk_path(trunk: Trunk) -> str:
    """Return the path of a trunk's page."""
    segments = (*trunk.repo.split("/"), trunk.branch)
    return TRUNK + "/".join(map(_segment, segments))


def job_path(key: JobKey) -> str:
    """Return the path of a job's page."""
    return _below(key, JOB, key.workflow, key.job_name)


def outage_path(key: JobKey, first_bad: str) -> str:
    """Return the path of the page of the outage that began at a commit."""
    return _below(key, OUTAGE, key.workflow, key.job_name, first_bad)


def read_path(path: str) -> Place | None:
    """Return the page of a path below /trunk/, None if it has no valid form.

    Args:
        path: percent-encoded.
    """
    segments = path.removeprefix(TRUNK).split("/")
    at = next((n for n, segment in enumerate(segments) if segment in (JOB, OUTAGE)), len(segments))
    names = list(map(_text, segments))
    if at < 2:
        return None
    trunk = Trunk("/".join(names[: at - 1]), names[at - 1])
    rest = names[at + 1 :]
    if at == len(segments):
        return Place(trunk)
    if len(rest) != (2 if segments[at] == JOB else 3):
        return None
    return Place(trunk, JobKey(*trunk, rest[0], rest[1]), rest[2] if rest[2:] else None)


def other_readings(path: str) -> Sequence[Trunk]:
    """Return the trunks that a path may mean if somebody typed it without encoding slashes.

    Args:
        path: percent-encoded; a longer one than `TYPED_LIMIT` means none.
    """
    if len(path) > TYPED_LIMIT:
        return []
    parts = unquote(path.removeprefix(TRUNK)).split("/")
    return [Trunk("/".join(parts[:n]), "/".join(parts[n:])) for n in range(1, len(parts))]


def _below(key: JobKey, marker: str, *names: str) -> str:
    trunk = trunk_path(Trunk(key.repo, key.branch))
    return "/".join((trunk, marker, *map(_segment, names)))


def _segment(text: str) -> str:
    escaped = _ESCAPE + text if text in _RESERVED or text.startswith(_ESCAPE) else text
    return quote(escaped, safe="~")


def _text(segment: str) -> str:
    return unquote(segment).removeprefix(_ESCAPE)


def is_web(url: str | None) -> bool:
    """Return whether a URL from CI data may become a link: its scheme is http or https."""
    return url is not None and url.startswith(("https://", "http://"))
