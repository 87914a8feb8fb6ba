"""The Jinja2 environment of the pages: every text is escaped and has no control characters."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from trunkwatch.addresses import is_web, job_path
from trunkwatch.cuts import cut_to_characters
from trunkwatch.engine.cells import MEANINGS, NO_ROW
from trunkwatch.html.rendered import Rendered, rendered, segment
from trunkwatch.html.standing import jobs_are
from trunkwatch.report.hints import exemption, hints
from trunkwatch.report.words import ago, counted, failures_phrase, files_reason, plain, short
from trunkwatch.times import format_minute, format_time

STATIC_PREFIX = "/static/"

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "page.css": "text/css; charset=utf-8",
        "page.js": "text/javascript; charset=utf-8",
        "icon.svg": "image/svg+xml",
    }
)


class StaticFile(NamedTuple):
    """A file that pages refer to.

    Attributes:
        content_type: of the answer.
        page: its bytes.
        version: a digest of them.
    """

    content_type: str
    page: Rendered
    version: str


def package_file(*names: str) -> Traversable:
    """Return a file of this package."""
    return files("trunkwatch.html").joinpath(*names)


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Return the files that pages refer to, by name."""
    found = {}
    for name, content_type in _TYPES.items():
        text = package_file("static", name).read_text("utf-8")
        version = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        found[name] = StaticFile(content_type, rendered(segment(text)), version)
    return MappingProxyType(found)


def static_path(name: str) -> str:
    """Return the address of a file; it changes with its content, so that browsers may keep it."""
    return f"{STATIC_PREFIX}{name}?v={static_files()[name].version}"


@cache
def environment(version: str) -> Environment:
    """Return the environment; its templates are compiled, which takes 50 ms.

    Args:
        version: shown at the end of each page.
    """
    made = Environment(
        loader=FunctionLoader(lambda name: package_file("templates", name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        auto_reload=False,
    )
    made.globals["static"] = static_path
    made.globals["version"] = version
    made.globals["legend"] = [
        (letter, words) for letter, words in MEANINGS.items() if letter != NO_ROW
    ]
    made.filters |= {
        "ago": ago,
        "counted": counted,
        "exempt": lambda job: exemption(*job.known_broken),
        "failures": failures_phrase,
        "hints": lambda job: list(hints(job)),
        "files_reason": files_reason,
        "is_web": is_web,
        "iso": format_time,
        "job_path": job_path,
        "jobs_are": jobs_are,
        "short": short,
        "shortened": cut_to_characters,
        "utc": format_minute,
    }
    for file in package_file("templates").iterdir():
        made.get_template(file.name)
    return made


def _shown(value: object) -> object:
    """Return a value as it is shown: text of CI may contain control and direction characters."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
