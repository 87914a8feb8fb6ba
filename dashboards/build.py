"""Generates the Grafana dashboards of this folder.

    python dashboards/build.py            write them
    python dashboards/build.py --check    exit 1 if a committed file differs

The panels are plain dicts, without a library, so that the diff of a panel is the diff of its file.
Only options of Grafana 11.6 are used; later versions read them unchanged.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    # For a script sys.path has its own folder, not the project that contains the package.
    sys.path.insert(0, str(FOLDER.parent))

from dashboards import trunk  # noqa: E402 — a script can import it only after the line above
from dashboards.grafana import Json  # noqa: E402 — as above

DASHBOARDS: dict[str, Callable[[], Json]] = {"trunk.json": trunk.dashboard}


def render(dashboard: Json) -> str:
    """Return the text of a dashboard's file; sorted keys keep diffs small."""
    return json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def outdated() -> list[str]:
    """Return the names of the committed files that differ from the generator's output."""
    return [
        name
        for name, build in DASHBOARDS.items()
        if not (FOLDER / name).exists()
        or (FOLDER / name).read_text(encoding="utf-8") != render(build())
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the dashboards, or compare them with the committed files."""
    parser = argparse.ArgumentParser(description="Writes the Grafana dashboards.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(argv).check:
        names = outdated()
        for name in names:
            print(f"{name} is outdated: run 'python dashboards/build.py'", file=sys.stderr)
        return 1 if names else 0
    for name, build in DASHBOARDS.items():
        (FOLDER / name).write_text(render(build()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
