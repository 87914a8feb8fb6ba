"""The runbooks of the alerts, from Markdown."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from markdown_it import MarkdownIt
from markupsafe import Markup

from trunkwatch.addresses import RUNBOOKS
from trunkwatch.html.templating import package_file

_NAME = re.compile(r"[A-Z][A-Za-z]{1,60}")
_LOCAL = re.compile(r"([A-Z][A-Za-z]+)\.md")


@cache
def texts() -> Mapping[str, str]:
    """Return the Markdown of each runbook, by its alert."""
    files = sorted(package_file("runbooks").iterdir(), key=lambda file: file.name)
    return MappingProxyType(
        {
            file.name.removesuffix(".md"): file.read_text("utf-8")
            for file in files
            if file.name.endswith(".md")
        }
    )


def names() -> tuple[str, ...]:
    """Return the alerts that have a runbook."""
    return tuple(texts())


@cache
def runbook(name: str) -> Markup | None:
    """Return the runbook of an alert as HTML, None where there is none.

    A link to another runbook leads to its page; one to a document of the repository is no link.
    """
    if not _NAME.fullmatch(name) or name not in names():
        return None
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(texts()[name])
    for token in (child for each in tokens for child in each.children or ()):
        if token.type == "link_open":
            local = _LOCAL.fullmatch(str(token.attrGet("href")))
            if local:
                token.attrSet("href", f"{RUNBOOKS}{local.group(1)}")
            elif not str(token.attrGet("href")).startswith("https://"):
                token.attrs.pop("href")
    html = reader.renderer.render(tokens, reader.options, {})
    return Markup(html.replace("<pre>", '<pre tabindex="0">'))  # noqa: S704 — the package's own text, raw HTML off
