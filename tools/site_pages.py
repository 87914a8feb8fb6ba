"""Hooks of MkDocs: which documents are pages of the site, and where their links lead.

The documents are written for the repository, in CommonMark: a link to another document becomes one
to its page, and one to any other file leads to the repository. Python-Markdown wants four spaces
where CommonMark takes the width of a list's marker.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/trunkwatch/trunkwatch"
FIRST = ("github", "configuration", "operations", "tickets", "policy", "messages", "metrics")
"""The pages after the first one, in this order; further ones follow by name."""

_MORE = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}
_FENCE = re.compile(r"^( *`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\(|(?:src|srcset|href)=\")(?!\w+:|//|#)([^)\s\"#]+)(#[^)\s\"]*)?(?=[)\"])")
_MARKER = re.compile(r"(?:[-*]|\d+\.) +(?=\S)")


def pages() -> dict[str, str]:
    """Return the path of each page in the site, by the path of its document in the repository."""
    found = {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    runbooks = sorted((ROOT / "rules" / "runbooks").glob("*.md"))
    return (
        _MORE
        | found
        | {f"rules/runbooks/{path.name}": f"runbooks/{path.name}" for path in runbooks}
    )


def on_config(config: Any) -> Any:
    """Set the navigation, so that a new document has its place in it."""
    names = [path.removesuffix(".md") for path in pages().values() if "/" not in path]
    rest = sorted(set(names) - {*FIRST, "index", "changelog", "security"})
    order = ["index", *FIRST, *rest, "security", "changelog"]
    runbooks = [path for path in pages().values() if path.startswith("runbooks/")]
    config.nav = [*(f"{name}.md" for name in order), {"Runbooks": runbooks}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the documents that are not in docs/."""
    for document, page in pages().items():
        if not document.startswith("docs/"):
            text = (ROOT / document).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the document of a page with the links and the lists of the site."""
    document = {path: name for name, path in pages().items()}[page.file.src_uri]
    return listed(linked(markdown, document))


def linked(text: str, document: str) -> str:
    """Return a document with the links of the site.

    Args:
        text: the document.
        document: its path in the repository.
    """

    def target(found: re.Match[str]) -> str:
        return found[1] + _target(found[2], document) + (found[3] or "")

    return _outside_fences(text, lambda part: _LINK.sub(target, part))


def _target(link: str, document: str) -> str:
    path = normpath(f"{dirname(document)}/{link}".lstrip("/"))
    site = pages() | (
        {path: path.removeprefix("docs/")} if path.startswith("docs/pictures/") else {}
    )
    if path in site:
        return relpath(site[path], dirname(site[document]) or ".")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{path}"


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def listed(text: str) -> str:
    """Return a document whose lists have four spaces of indentation."""
    return "\n".join(_indented(text.split("\n")))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    width, in_fence = 0, False
    for line in lines:
        marker = None if in_fence else _MARKER.match(line)
        if line.strip().startswith("```"):
            in_fence = not in_fence
        if marker:
            width = len(marker[0])
        elif line and not line.startswith(" " * max(width, 1)):
            width = 0
        is_inside = width and not marker and line
        yield " " * 4 + line[width:] if is_inside else line
