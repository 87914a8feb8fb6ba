"""The files of a release, rendered for one installation."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from trunkwatch import __version__
from trunkwatch.assets.kubernetes import manifests
from trunkwatch.assets.packaged import asset_path
from trunkwatch.assets.routes import EXAMPLE_TEAM, for_one_team, scalar, with_teams
from trunkwatch.assets.rules.build import DEFAULT, render
from trunkwatch.assets.settings import PROMETHEUS_IMAGES, AssetSettings
from trunkwatch.errors import UsageError
from trunkwatch.html.runbooks import texts

COMPOSE, RULES, CHART = "docker-compose.yml", "rules/trunkwatch.rules.yml", "deploy/chart"
RULE_TESTS = "rules/tests"
EXPORTER = DEFAULT.runbooks.removesuffix("/runbooks")
"""The exporter's address in the files of the repository."""

DEFAULT_JOB = "trunkwatch"
"""The name of the scrape job in the files of the repository."""

IMAGE = f"trunkwatch:{__version__}"
"""The image that `make dist` builds."""

FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        RULE_TESTS: "*.test.yml",
        "dashboards": "*.json",
        "deploy/alertmanager": "**/*",
        "deploy/chart": "*",
        "deploy/chart/templates": "*",
        "deploy/grafana": "**/*",
        "deploy/kubernetes": "*",
        "deploy/prometheus": "**/*",
        "deploy/systemd": "*",
        "mixin": "*.libsonnet",
    }
)
"""The folders whose files are written, with the pattern of their names."""

# A service of compose whose image is built from the sources, with the comment above it.
_BUILT = re.compile(r"(?m)(?:^ +#.*\n)*^( +image: )trunkwatch:local\n +build:\n(?:    +.*\n)+")
# The name of a scrape job in a selector, and a selector that has nothing but equalities.
_JOB = re.compile(r'\bjob\s*=\s*"((?:[^"\\]|\\.)+)"')
_EQUALITIES = re.compile(r'(?:\w+\s*=\s*"(?:[^"\\]|\\.)*"(?:\s*,\s*)?)+')


def render_files(settings: AssetSettings) -> Mapping[str, str]:
    """Return the text of every file, by its path.

    Raises:
        UsageError: the rules cannot be written for these settings.
    """
    try:
        rules = render(settings.which)
    except ValueError as error:
        raise UsageError(f"--set: {error}") from None
    found = {
        "VERSION": f"{__version__}\n",
        COMPOSE: _read(COMPOSE),
        "deploy/trunkwatch.yml": _read("deploy/trunkwatch.yml"),
        **{f"rules/runbooks/{name}.md": text for name, text in texts().items()},
    }
    for folder, pattern in FOLDERS.items():
        if folder != RULE_TESTS or tests_apply(settings):
            found.update(_read_folder(folder, pattern))
    changed = {name: _changed(name, text, settings) for name, text in found.items()}
    dashboards = {
        name.removeprefix("dashboards/"): text
        for name, text in changed.items()
        if name.startswith("dashboards/")
    }
    # In the repository, these files of the chart are symbolic links.
    chart = {f"{CHART}/files/dashboards/{name}": text for name, text in dashboards.items()}
    chart[f"{CHART}/files/{RULES.rpartition('/')[2]}"] = rules
    return changed | {RULES: rules} | chart | dict(manifests(rules, dashboards))


def tests_apply(settings: AssetSettings) -> bool:
    """Return whether promtool's tests can be written for these rules.

    The tests compare whole alerts, so the label `trunkwatch` must be absent; and they use the
    selectors as series, so these must consist of equalities.
    """
    which = settings.which
    same = which._replace(name=DEFAULT.name) == which
    selectors = which.selector, which.tickets, which.confirm
    return same and all(_EQUALITIES.fullmatch(each) for each in selectors)


def scrape_job(selector: str) -> str:
    """Return the name of the scrape job: that in the selector, if it has exactly one."""
    names = set(_JOB.findall(selector))
    return names.pop() if len(names) == 1 else DEFAULT_JOB


def is_scraped(selector: str) -> bool:
    """Return whether a selector certainly matches what the written scrape configurations scrape."""
    return _JOB.fullmatch(selector) is not None


def _read(name: str) -> str:
    return asset_path(*name.split("/")).read_text(encoding="utf-8")


def _read_folder(folder: str, pattern: str) -> Iterator[tuple[str, str]]:
    root = asset_path(*folder.split("/"))
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            yield f"{folder}/{path.relative_to(root).as_posix()}", path.read_text(encoding="utf-8")


# ---------------------------------------------------------------------- changes


def _changed(name: str, text: str, settings: AssetSettings) -> str:
    """Return the text of a file; a change of a folder applies to each file of it."""
    changes = (_CHANGES.get(key) for key in (name, name.rpartition("/")[0]))
    for change in filter(None, changes):
        text = change(text, settings)
    return text


def _compose(text: str, settings: AssetSettings) -> str:
    """Use the image of this version: it cannot be built without the sources."""
    text = _external_url(text, settings)
    text = _BUILT.sub(rf"\g<1>{IMAGE}\n", text).replace(" --build", "")
    newest = PROMETHEUS_IMAGES["3"]
    return text.replace(newest, PROMETHEUS_IMAGES[settings.prometheus])


def _external_url(text: str, settings: AssetSettings) -> str:
    """Set the external URL, in whichever form the file has: arguments, a unit or chart values."""
    if settings.exporter_url is None:
        return text
    flag = f"--web.external-url={settings.exporter_url}"
    text = re.sub(r"(?m)^( +)- --web\.listen-address=.*:10077\n", rf"\g<0>\g<1>- {flag}\n", text)
    text = re.sub(r"(?m)^ExecStart=.*", rf"\g<0> {flag}", text)
    return text.replace('externalUrl: ""', f"externalUrl: {settings.exporter_url}")


def _kubernetes(text: str, settings: AssetSettings) -> str:
    text = _scrape_job(_external_url(text, settings), settings)
    jobs = set(_JOB.findall(settings.which.tickets))
    return text.replace("job: trunkwatch-tickets", f"job: {jobs.pop()}") if len(jobs) == 1 else text


def _prometheus(text: str, settings: AssetSettings) -> str:
    return _selectors(_scrape_job(text, settings), settings)


def _routes(text: str, settings: AssetSettings) -> str:
    return with_teams(text, settings.teams) if settings.teams else text


def _one_team(text: str, settings: AssetSettings) -> str:
    return for_one_team(text, settings.teams[0]) if settings.teams else text


def _config(text: str, settings: AssetSettings) -> str:
    if not settings.teams:
        return text
    return text.replace(f"team: {EXAMPLE_TEAM}", f"team: {scalar(settings.teams[0])}")


def _places(text: str, settings: AssetSettings) -> str:
    addresses = {"grafana": settings.grafana_url, "alertmanager": settings.alertmanager_url}
    for name, url in addresses.items():
        if url is not None:
            text = re.sub(rf'("trunkwatch\.{name}".*? := )"[^"]*"', rf'\g<1>"{url}"', text)
    return text


def _dashboard(text: str, settings: AssetSettings) -> str:
    return text.replace(EXPORTER, settings.exporter_url or EXPORTER)


def _selectors(text: str, settings: AssetSettings) -> str:
    for old, new in (
        (DEFAULT.selector, settings.which.selector),
        (DEFAULT.tickets, settings.which.tickets),
        (DEFAULT.confirm, settings.which.confirm),
        (DEFAULT.runbooks, settings.which.runbooks),
    ):
        text = text.replace(old, new)
    return text


def _scrape_job(text: str, settings: AssetSettings) -> str:
    """Give the scrape job the name in the selector of the rules, if that has one."""
    old, new = DEFAULT_JOB, scrape_job(settings.which.selector)
    if new == old:
        return text
    return re.sub(
        rf'(?m)^( *-? *(?:job|job_name|replacement): |.*replacement: )"?{old}"?(}}?)$',
        lambda found: f'{found[1]}"{new}"{found[2]}',
        text,
    )


def _mixin(text: str, settings: AssetSettings) -> str:
    which = settings.which
    written = {
        "selector": which.selector,
        "ticketsSelector": which.tickets,
        "confirmSelector": which.confirm,
        "name": which.name,
        "runbooks": which.runbooks,
    }
    if which == DEFAULT:
        return text
    line = f"local written = {json.dumps(written, ensure_ascii=False)};"
    return re.sub(r"(?m)^local written = .*$", lambda _: line, text)


_CHANGES: Mapping[str, Callable[[str, AssetSettings], str]] = MappingProxyType(
    {
        COMPOSE: _compose,
        "deploy/chart/values.yaml": _kubernetes,
        "deploy/kubernetes/trunkwatch.yaml": _kubernetes,
        "deploy/prometheus/prometheus.yml": _prometheus,
        "deploy/systemd/trunkwatch.service": _external_url,
        "deploy/trunkwatch.yml": _config,
        "mixin/mixin.libsonnet": _mixin,
        "deploy/alertmanager/alertmanager.yml": _routes,
        "deploy/alertmanager/one-team.yml": _one_team,
        "deploy/alertmanager/places.compose.tmpl": _places,
        "deploy/alertmanager/templates/places.tmpl": _places,
        "dashboards": _dashboard,
        "rules/runbooks": _selectors,
        RULE_TESTS: _selectors,
    }
)
