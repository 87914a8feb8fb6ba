"""Variables, links and annotations that every dashboard has."""

from collections.abc import Sequence

from dashboards.grafana import DATASOURCE, Json, link, placed
from dashboards.promql import IN_JOB, IN_TRUNK, OF_TRUNK, label_values, selector
from dashboards.queries import alerting_groups, other_alerts
from dashboards.settings import ALERTMANAGER, BAD, PAGE, TAG, WARN

IN_REPO = selector("job", "repo")
IN_TEAM = selector("job", *OF_TRUNK, "team")


def datasource_variable() -> Json:
    """Return the variable of the Prometheus data source, so that the file works in any Grafana."""
    return {
        "current": {"text": "", "value": ""},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def label_variable(name: str, label: str, query: str, *, one: bool = False) -> Json:
    """Return the variable of a label's values. "All" is `.*`, which matches before any exists.

    Args:
        name: of the variable.
        label: shown beside it.
        query: of its values.
        one: whether exactly one is chosen, and there is no "All".
    """
    return {
        **({} if one else {"allValue": ".*"}),
        # Without a value and with includeAll, Grafana starts with "All".
        "current": {"text": "", "value": ""},
        "datasource": DATASOURCE,
        "hide": 0,
        "includeAll": not one,
        "label": label,
        "multi": not one,
        "name": name,
        "options": [],
        "query": query,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }


def address_variable(name: str, label: str, address: str) -> Json:
    """Return the variable of an address in a browser, without a slash at the end."""
    value = {"text": address, "value": address}
    return {
        "current": value,
        "hide": 0,
        "label": label,
        "name": name,
        "options": [{**value, "selected": True}],
        "query": address,
        "type": "textbox",
    }


def common_variables() -> list[Json]:
    """Return the variables that every dashboard has; each depends on those before it."""
    return [
        datasource_variable(),
        label_variable("job", "Scrape job", label_values("job", "trunkwatch_build_info")),
        label_variable(
            "trunkwatch",
            "Trunkwatch",
            label_values("trunkwatch", "trunkwatch:data_age_limit_seconds"),
        ),
        label_variable("repo", "Repo", label_values("repo", "ci_branch_up", IN_JOB)),
        label_variable("branch", "Branch", label_values("branch", "ci_branch_up", IN_REPO)),
        label_variable("team", "Team", label_values("team", "ci_job_failures_to_open", IN_TRUNK)),
        label_variable("group", "Group", label_values("group", "ci_job_failures_to_open", IN_TEAM)),
    ]


def page_variable() -> Json:
    """Return the variable of the exporter's address."""
    return address_variable("page", "Address of Trunkwatch", PAGE)


def addresses() -> list[Json]:
    """Return the variables of the addresses that links lead to."""
    alertmanager = address_variable("alertmanager", "Address of Alertmanager", ALERTMANAGER)
    return [page_variable(), alertmanager]


def annotation(name: str, color: str, expr: str, title: str, text: str) -> Json:
    """Return an annotation for the times at which a series exists."""
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": color,
        "name": name,
        "step": "10m",
        "target": {"expr": expr, "interval": "10m", "refId": "Anno"},
        "textFormat": text,
        "titleFormat": title,
    }


def annotations() -> list[Json]:
    """Return the annotations of firing alerts: one for each group, not for each broken job."""
    return [
        annotation(
            "Broken jobs alert",
            BAD,
            alerting_groups(),
            "TrunkJobBroken",
            "{{group}} jobs are broken on {{repo}} {{branch}}",
        ),
        annotation("Other alerts", WARN, other_alerts(), "{{alertname}}", "{{repo}} {{branch}}"),
    ]


def dashboards_link() -> Json:
    """Return the list of the other dashboards, which keeps time and variables."""
    return {
        **link("Dashboards", "", blank=False),
        "asDropdown": True,
        "icon": "dashboard",
        "includeVars": True,
        "keepTime": True,
        "tags": [TAG],
        "tooltip": "Trunk, Job, Trunkwatch",
        "type": "dashboards",
    }


def dashboard(
    uid: str,
    title: str,
    description: str,
    panels: Sequence[Json],
    variables: Sequence[Json],
    *,
    links: Sequence[Json] = (),
    annotated: Sequence[Json] = (),
) -> Json:
    """Return a dashboard."""
    return {
        "annotations": {"list": list(annotated)},
        "description": description,
        "editable": False,
        "graphTooltip": 1,
        "id": None,
        "links": [dashboards_link(), *links],
        "panels": placed(panels),
        "refresh": "1m",
        "schemaVersion": 41,
        "tags": [TAG],
        "templating": {"list": list(variables)},
        # A day covers the last working evening before a broken morning.
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "title": title,
        "uid": uid,
    }
