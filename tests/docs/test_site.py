"""The documents as a site: every link and every anchor leads somewhere."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.deploy.files import PROJECT, run
from tools import site_pages


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name in ("href", "src", "srcset") and value:
                self.links.add(value)
            elif name == "id" and value:
                self.ids.add(value)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](docs/policy.md#x)", "[a](policy.md#x)"),
        ("[a](rules/runbooks/TrunkNotGreen.md)", "[a](runbooks/TrunkNotGreen.md)"),
        ('<img src="docs/pictures/check.png">', '<img src="pictures/check.png">'),
        ("[a](https://example.com/docs/policy.md)", "[a](https://example.com/docs/policy.md)"),
        ("[a](#see-it)", "[a](#see-it)"),
        ("[a](Makefile)", f"[a]({site_pages.REPOSITORY}/blob/main/Makefile)"),
        (
            "[a](exporter/trunkwatch/)",
            f"[a]({site_pages.REPOSITORY}/tree/main/exporter/trunkwatch)",
        ),
        ("```\n[a](Makefile)\n```", "```\n[a](Makefile)\n```"),
    ],
)
def test_a_link_leads_to_a_page_or_to_the_repository(link: str, expected: str) -> None:
    """Documents are pages, other files are in the repository, and code is left as it is."""
    assert site_pages.linked(link, "README.md") == expected


def test_a_link_between_folders_is_relative() -> None:
    """A runbook leads to a document, and a document to a runbook, by the site's own folders."""
    up = site_pages.linked("[a](../../docs/policy.md)", "rules/runbooks/TrunkNotGreen.md")
    down = site_pages.linked("[a](../rules/runbooks/TrunkNotGreen.md)", "docs/policy.md")
    assert (up, down) == ("[a](../policy.md)", "[a](runbooks/TrunkNotGreen.md)")


def test_a_list_is_indented_by_four() -> None:
    """The parts of an item, code included, have four spaces; text after a list has none."""
    text = "1. a\n   b\n\n   ```sh\n   c\n     d\n   ```\n2. e\n\ntext\n    code\n"
    wanted = "1. a\n    b\n\n    ```sh\n    c\n      d\n    ```\n2. e\n\ntext\n    code\n"
    assert site_pages.listed(text) == wanted


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(tmp_path: Path) -> None:
    """MkDocs builds it without a warning, and each link within it has its file and its anchor."""
    command = ("mkdocs", "build", "--strict", "--quiet")
    files = ("--config-file", PROJECT / "mkdocs.yml", "--site-dir", tmp_path)
    built = run(sys.executable, "-m", *command, *files)
    assert built.returncode == 0, built.stdout + built.stderr
    found = {path: Page(path) for path in tmp_path.rglob("*.html") if path.name != "404.html"}
    assert len(found) == len(site_pages.pages())
    dead = set()
    for path, page in found.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            is_known = url.fragment in ("", "__skip") or target.suffix != ".html"
            if not target.is_file() or not (is_known or unquote(url.fragment) in found[target].ids):
                dead.add((path.relative_to(tmp_path).as_posix(), link))
    assert dead == set()
