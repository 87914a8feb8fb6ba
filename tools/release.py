"""Checks that a tag can be released, and prints the notes of the release.

    python -m tools.release v0.1.0

The tag has to be the version, the changelog has to begin with it, and every name that users rely on
and that the previous release had must be in the section *Upgrade* if it is gone.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from trunkwatch import __version__

ROOT = Path(__file__).resolve().parents[1]
REFERENCES = ("docs/metrics.md", "docs/configuration.md", "docs/operations.md")
"""The documents whose tables have every metric, label, key and flag (tests/docs/test_docs.py)."""


def public_names(text: str) -> set[str]:
    """Return the names in the tables of a document."""
    rows = (line for line in text.splitlines() if line.startswith("|"))
    return {name for row in rows for name in re.findall(r"`([\w.:\[\]-]+)`", row)}


def notes(changelog: str, version: str) -> str:
    """Return the newest section of the changelog.

    Raises:
        ValueError: it is of another version.
    """
    heading, _, text = changelog.partition("\n## ")[2].partition("\n")
    if not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heading):
        raise ValueError(
            f"CHANGELOG.md begins with {heading!r} instead of '{version} (YYYY-MM-DD)'"
        )
    return text.partition("\n## ")[0].strip() + "\n"


def unexplained(before: str, after: str, text: str) -> set[str]:
    """Return the names that are gone and not in the section *Upgrade* of the notes.

    Args:
        before: the reference documents of the previous release.
        after: those of this one.
        text: the notes.
    """
    upgrade = text.partition("### Upgrade\n")[2]
    gone = public_names(before) - public_names(after)
    return {name for name in gone if f"`{name}`" not in upgrade}


def _at(revision: str) -> str:
    shown = (["git", "show", f"{revision}:{name}"] for name in REFERENCES)
    texts = (
        subprocess.run(each, cwd=ROOT, check=False, capture_output=True, text=True).stdout
        for each in shown
    )
    return "".join(texts)


def _previous(tag: str) -> str | None:
    """Return the newest tag of a version before this one."""
    listed = ["git", "tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD"]
    done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    return next((each for each in done.stdout.split() if each != tag), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the notes, or the reasons against the release."""
    (tag,) = sys.argv[1:] if argv is None else argv
    try:
        if tag != f"v{__version__}":
            raise ValueError(f"the tag is {tag}, and the version is {__version__}")
        text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), __version__)
        previous = _previous(tag)
        after = "".join((ROOT / name).read_text(encoding="utf-8") for name in REFERENCES)
        missing = unexplained(_at(previous), after, text) if previous else set()
        if missing:
            names = ", ".join(sorted(missing))
            raise ValueError(f"the section 'Upgrade' of CHANGELOG.md does not have {names}")
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
