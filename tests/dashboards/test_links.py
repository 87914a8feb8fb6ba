"""Where cells and dashboards lead: every address is that of what the row is about."""

import re
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from trunkwatch.addresses import RUNBOOKS, read_path
from trunkwatch.web.site import JOB_PATH

from tests.dashboards.model import FILES, load, panel, variables
from tests.rules.rulebook import alerts, runbook_queries

BY_TITLE = {dashboard["title"]: dashboard for dashboard in map(load, FILES)}
TRUNK = BY_TITLE["Trunk"]


def linked(shown: dict[str, Any]) -> set[str]:
    """Return the headers of the columns whose cells are links."""
    (names,) = [
        override["matcher"]["options"]["names"]
        for override in shown["fieldConfig"]["overrides"]
        if {"id": "links"} in override["properties"]
    ]
    return set(names)


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
    "Run": "https://ci.example/r?a=1&b=%20",
    "Commit": "https://ci.example/commit/abc",
}
CHOSEN = {
    "page": "http://exporter.example", "alertmanager": "http://am.example", "datasource": "p",
    "job": "trunkwatch", "trunkwatch": "",
}  # fmt: skip


def test_a_click_on_a_broken_job_opens_what_belongs_to_it() -> None:
    """The dashboard Job with all its variables, run and commit as they are, and the page."""
    shown = panel(TRUNK, "Broken now")
    assert linked(shown) == {"Job", "Commit", "Run"}
    job, run, commit, page = (
        followed(link["url"], ODD, **CHOSEN) for link in shown["fieldConfig"]["defaults"]["links"]
    )
    path, _, query = job.partition("?")
    assert path == f"/d/{BY_TITLE['Job']['uid']}"
    chosen = {name: value for name, (value,) in parse_qs(query).items()}
    names = {"repo": "Repo", "branch": "Branch", "workflow": "Workflow", "job_name": "Job"}
    for name, header in names.items():
        assert chosen[f"var-{name}"] == ODD[header]
        assert name in variables(BY_TITLE["Job"])
    assert (chosen["from"], chosen["to"], chosen["var-datasource"]) == ("now-24h", "now", "p")
    assert (run, commit) == (ODD["Run"], ODD["Commit"])
    address, _, query = page.partition("?")
    assert address == f"http://exporter.example{JOB_PATH}"
    assert {k: v for k, (v,) in parse_qs(query).items()} == {k: ODD[h] for k, h in names.items()}


def test_a_trunk_leads_to_its_grid() -> None:
    """The address means the row's trunk, whatever its branch is called."""
    links = panel(TRUNK, "Trunks")["fieldConfig"]["defaults"]["links"]
    for branch in ("main", "release/1.0", "job", "~x", "a b"):
        url = followed(links[0]["url"], ODD | {"Branch": branch}, **CHOSEN)
        place = read_path(url.removeprefix("http://exporter.example"))
        assert place is not None
        assert place.trunk == ("org/repo", branch)


def test_an_alert_leads_to_its_runbook() -> None:
    """The name of an alert that fires is a link to the page of its runbook."""
    shown = panel(TRUNK, "Alerts that fire")
    (link,) = shown["fieldConfig"]["defaults"]["links"]
    assert link["url"] == "${page:raw}" + RUNBOOKS + "${__value.raw:raw}"
    assert all(runbook_queries(name) for name in alerts())
    assert linked(shown) == {"Alert"}


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
