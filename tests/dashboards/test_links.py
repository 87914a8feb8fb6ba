"""Where cells and dashboards lead: every address is that of what the row is about."""

import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from trunkwatch.addresses import RUNBOOKS, read_path
from trunkwatch.web.site import JOB_PATH

from tests.dashboards.model import FILES, load, panel, panels, variables
from tests.rules.rulebook import alerts, runbook_queries

BY_TITLE = {dashboard["title"]: dashboard for dashboard in map(load, FILES)}
TRUNK = BY_TITLE["Trunk"]


def links(shown: dict[str, Any]) -> dict[str, str]:
    """Return the address to which each column's cells lead; one each, so that a click opens it."""
    found: dict[str, list[dict[str, str]]] = {}
    config = shown["fieldConfig"]
    for header in headers(shown):
        found[header] = list(config["defaults"].get("links", []))
        for override in config["overrides"]:
            matcher = override["matcher"]["options"]
            if (header in matcher["names"]) == (matcher["mode"] == "include"):
                for each in override["properties"]:
                    if each["id"] == "links":
                        found[header] = found[header] + each["value"] if "value" in each else []
    assert max(map(len, found.values())) <= 1
    return {header: one["url"] for header, some in found.items() for one in some}


def headers(shown: dict[str, Any]) -> list[str]:
    """Return the headers of a table's columns."""
    organize = next(t["options"] for t in shown["transformations"] if t["id"] == "organize")
    return list(organize["renameByName"].values())


def followed(url: str, row: dict[str, str], **chosen: str) -> str:
    """Return the address of a link, as Grafana makes it of a row and the variables."""

    def value(match: re.Match[str]) -> str:
        header, name, form = match["header"], match["name"], match["form"]
        if name == "__url_time_range":
            return "from=now-24h&to=now"
        text = row[header] if header else chosen[name]
        if form == "queryparam":
            return f"var-{name}={quote(text, safe='')}"
        plain = {"percentencode": quote(text, safe=""), "raw": text, "pipe": text}
        return plain.get(form, quote(text, safe="/"))

    pattern = r'\$\{(?:__data\.fields\["(?P<header>[^"]+)"\]|(?P<name>\w+))(?::(?P<form>\w+))?\}'
    return re.sub(pattern, value, url)


ODD = {
    "Job": 'a / b (1, ünï) & #x?=+%2F "q"',
    "Workflow": "CI / nightly",
    "Repo": "org/repo",
    "Branch": "release/1.0",
}
CHOSEN = {
    "page": "http://exporter.example", "alertmanager": "http://am.example", "datasource": "p",
    "job": "trunkwatch", "trunkwatch": "",
}  # fmt: skip


def test_a_click_on_a_broken_job_opens_what_belongs_to_it() -> None:
    """The dashboard Job with all its variables, run and commit as they are, and the page."""
    found = links(panel(TRUNK, "Broken now"))
    assert set(found) == {"Job", "Commit", "Run", "Suspects"}
    path, _, query = followed(found["Job"], ODD, **CHOSEN).partition("?")
    assert path == f"/d/{BY_TITLE['Job']['uid']}"
    chosen = {name: value for name, (value,) in parse_qs(query).items()}
    names = {"repo": "Repo", "branch": "Branch", "workflow": "Workflow", "job_name": "Job"}
    for name, header in names.items():
        assert chosen[f"var-{name}"] == ODD[header]
        assert name in variables(BY_TITLE["Job"])
    assert (chosen["from"], chosen["to"], chosen["var-datasource"]) == ("now-24h", "now", "p")
    assert found["Run"] == found["Commit"] == "${__value.raw:raw}"
    address, _, query = followed(found["Suspects"], ODD, **CHOSEN).partition("?")
    assert address == f"http://exporter.example{JOB_PATH}"
    assert {k: v for k, (v,) in parse_qs(query).items()} == {k: ODD[h] for k, h in names.items()}


def test_a_trunk_leads_to_its_grid() -> None:
    """The address means the row's trunk, whatever its branch is called."""
    found = links(panel(TRUNK, "Trunks"))
    assert set(found) == {"Repo"}
    for branch in ("main", "release/1.0", "job", "~x", "a b"):
        url = followed(found["Repo"], ODD | {"Branch": branch}, **CHOSEN)
        place = read_path(url.removeprefix("http://exporter.example"))
        assert place is not None
        assert place.trunk == ("org/repo", branch)


def test_an_alert_leads_to_its_runbook() -> None:
    """The name of an alert that fires is a link to the page of its runbook."""
    found = links(panel(TRUNK, "Alerts that fire"))
    assert found == {"Alert": "${page:raw}" + RUNBOOKS + "${__value.raw:raw}"}
    assert all(runbook_queries(name) for name in alerts())


def test_a_click_on_a_cell_opens_one_address() -> None:
    """In every table of every dashboard a cell has one link or none; several would be a menu."""
    tables = [
        shown
        for dashboard in BY_TITLE.values()
        for shown in panels(dashboard)
        if shown["type"] == "table"
    ]
    assert len([shown for shown in tables if links(shown)]) > 10


def test_the_dashboard_job_links_to_page_runbook_and_silence() -> None:
    """Their addresses are made of the chosen job."""
    page, runbook, silence = (link["url"] for link in BY_TITLE["Job"]["links"][1:])
    chosen = CHOSEN | dict.fromkeys(("repo", "branch", "workflow", "job_name"), "x y")
    chosen |= {"trunkwatch": ".*"}  # "All"
    assert followed(page, {}, **chosen).endswith(
        "/job?repo=x%20y&branch=x%20y&workflow=x%20y&job_name=x%20y"
    )
    assert followed(runbook, {}, **chosen) == "http://exporter.example/runbooks/TrunkJobBroken"
    filtered = unquote(followed(silence, {}, **chosen).partition("filter=")[2])
    pairs = ",".join(f'{name}="x y"' for name in ("repo", "branch", "workflow", "job_name"))
    assert filtered == f'{{alertname="TrunkJobBroken",{pairs},trunkwatch=~".*"}}'
