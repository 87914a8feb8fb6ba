"""Generates the Grafana dashboards of this folder.

    python dashboards/build.py            write them
    python dashboards/build.py --check    exit 1 if a committed file differs
    python dashboards/build.py --selector 'cluster="eu"' --page https://ci.example.org --output DIR

The selector is added to every selector of scraped series, as rules/build.py does it for the rules:
for a second Trunkwatch whose scrape job has the same name. Links lead to the addresses.

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

from dashboards import job, own, trunk  # noqa: E402 — a script can import it only after that
from dashboards.grafana import Json  # noqa: E402 — as above
from dashboards.settings import ALERTMANAGER, PAGE  # noqa: E402 — as above
from rules.build import is_selector  # noqa: E402 — as above

DASHBOARDS: dict[str, Callable[[], Json]] = {
    "job.json": job.build,
    "trunk.json": trunk.build,
    "trunkwatch.json": own.build,
}


def render(
    dashboard: Json, selector: str = "", page: str = PAGE, alertmanager: str = ALERTMANAGER
) -> str:
    """Return the text of a dashboard's file; sorted keys keep diffs small."""
    text = json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if selector:
        chosen, scraped = (
            json.dumps(matchers, ensure_ascii=False)[1:-1] for matchers in (selector, 'job=~"$job"')
        )
        text = text.replace(scraped, f"{chosen}, {scraped}")
    for standard, address in ((PAGE, page), (ALERTMANAGER, alertmanager)):
        text = text.replace(standard, address.rstrip("/"))
    return text


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
    parser.add_argument("--selector", default="", help="more matchers of the exporters' series")
    parser.add_argument("--page", default=PAGE, help="the exporter's address in a browser")
    parser.add_argument("--alertmanager", default=ALERTMANAGER, help="Alertmanager's address")
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder to write")
    options = parser.parse_args(argv)
    if options.selector and not is_selector(options.selector):
        parser.error(f'{options.selector!r} is not a list of label matchers such as job="ci"')
    if options.check:
        names = outdated()
        for name in names:
            print(f"{name} is outdated: run 'python dashboards/build.py'", file=sys.stderr)
        return 1 if names else 0
    for name, build in DASHBOARDS.items():
        text = render(build(), options.selector, options.page, options.alertmanager)
        (options.output / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
