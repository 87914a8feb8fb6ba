"""Addresses to which cells lead, made of the row's columns."""

from dashboards.grafana import Json, link, regex_map

JOB_UID, TRUNK_UID = "trunkwatch-job", "trunkwatch-trunk"

# What a link keeps of the dashboard it is on.
_KEPT = (
    "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${trunkwatch:queryparam}"
    "&${page:queryparam}&${alertmanager:queryparam}"
)


def cell(header: str) -> str:
    """Return the text of the row's column, encoded so that it is one value in an address."""
    return f'${{__data.fields["{header}"]:percentencode}}'


def to_job() -> Json:
    """Return the link to the dashboard *Job*; the row has the columns of a job."""
    chosen = (
        ("repo", "Repo"),
        ("branch", "Branch"),
        ("workflow", "Workflow"),
        ("job_name", "Job"),
    )
    values = "&".join(f"var-{name}={cell(header)}" for name, header in chosen)
    return link("Open Job", f"/d/{JOB_UID}?{_KEPT}&{values}", blank=False)


def to_page_of_job() -> Json:
    """Return the link to the exporter's page of the row's job."""
    labels = f"repo={cell('Repo')}&branch={cell('Branch')}&workflow={cell('Workflow')}"
    return link("Page of the job", f"${{page:raw}}/job?{labels}&job_name={cell('Job')}")


def to_page_of_trunk() -> Json:
    """Return the link to the grid; its address escapes any branch with a `~`."""
    repo = '${__data.fields["Repo"]}'
    return link("Page of the trunk: the grid", f"${{page:raw}}/trunk/{repo}/~{cell('Branch')}")


def to_value(title: str) -> Json:
    """Return the link to the address that a cell holds; it is encoded already."""
    return link(title, "${__value.raw:raw}")


# The texts of cells that hold an address or a hash: the hash as git shortens it, else a word.
ADDRESSES = (
    regex_map("/^([0-9a-f]{10})[0-9a-f]{30,54}$/", "$1"),
    regex_map("/^https?:\\/\\/\\S*[\\/#]([0-9a-f]{10})[0-9a-f]{30,54}$/", "$1 ↗"),
    regex_map("/^https?:\\/\\/\\S+$/", "open ↗"),
)
