"""The message in each medium: the same facts in the same order, and external text is escaped."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.notification import (
    FIRST_BAD,
    LAST_GOOD,
    OCCURRED,
    RUNBOOKS,
    TITLE,
    Alert,
    broken,
    notification,
    render,
)

MEDIA = ("trunkwatch.text", "trunkwatch.markdown", "trunkwatch.slack")

# The captions of a message with one firing and one resolved job, from top to bottom.
CAPTIONS = [
    "Summary",
    "Occurred at",
    "State",
    "Team",
    "Priority",
    "Jobs",
    "Failures",
    "First bad",
    "Last good",
    "Suspects",
    "Failed step",
    "First failing run",
    "Compare",
    "Tip",
    "Silence this job",
    "Not broken any more",
    "Ended",
    "Failures",
    "First bad",
    "Reason",
    "Runbook",
    "Dashboard",
    "Page",
    "Source",
    "Silence all of it",
]
CAPTION = re.compile("|".join(sorted(set(CAPTIONS), key=len, reverse=True)))

FILTER = "http://localhost:9093/#/silences/new?filter=%7Balertname%3D%22TrunkJobBroken%22%2C"
SILENCE_JOB = (
    f"{FILTER}repo%3D%22pytorch%2Fpytorch%22%2Cbranch%3D%22main%22%2Cjob_name%3D%22sm86%22%7D"
)
SILENCE_ALL = (
    f"{FILTER}branch%3D%22main%22%2Cgroup%3D%22inductor%22%2Crepo%3D%22pytorch%2Fpytorch%22%7D"
)

MARKDOWN = f"""\
**`{TITLE}`**

- **Summary:** `sm86 (workflow inductor) is broken on pytorch/pytorch main`
- **Occurred at:** {OCCURRED}
- **State:** firing
- **Team:** `broken-inductor`
- **Priority:** `P2`
- **Jobs:**
  - `sm86` (workflow `inductor`)
    - Failures: 3 commits
    - First bad: `{FIRST_BAD}` `author-b: Fuse more`
    - Last good: `{LAST_GOOD}`
    - Suspects: 2 commits, 1 of them tested
      - `333333333333 author-a: Tidy`
      - `444444444444 author-b: Fuse more`
    - Failed step: `Test`
    - [First failing run](<https://github.com/pytorch/pytorch/actions/runs/7>)
    - [Compare](<https://github.com/pytorch/pytorch/compare/2...4>)
    - Tip: `failing on the newest 3 commits that have a result`
    - [Silence this job](<{SILENCE_JOB}>)
- **Reason:** `Failure_Threshold=1, Number_of_Jobs_Failing=1`
- [Runbook](<{RUNBOOKS}/TrunkJobBroken.md>)
- [Dashboard](<http://localhost:3000/d/trunkwatch-trunk?var-repo=pytorch%2Fpytorch&var-branch=main\
&var-group=inductor>)
- [Page](<http://localhost:10077/>)
- [Source](<http://localhost:9090/graph?g0.expr=x&g0.tab=1>)
- [Silence all of it](<{SILENCE_ALL}>)
"""

SLACK = f"""\
*Summary:* `sm86 (workflow inductor) is broken on pytorch/pytorch main`
*Occurred at:* {OCCURRED}
*State:* firing
*Team:* `broken-inductor`
*Priority:* `P2`
*Jobs:*
• `sm86` (workflow `inductor`)
    Failures: 3 commits
    First bad: `{FIRST_BAD}` `author-b: Fuse more`
    Last good: `{LAST_GOOD}`
    Suspects: 2 commits, 1 of them tested
        `333333333333 author-a: Tidy`
        `444444444444 author-b: Fuse more`
    Failed step: `Test`
    <https://github.com/pytorch/pytorch/actions/runs/7|First failing run>
    <https://github.com/pytorch/pytorch/compare/2...4|Compare>
    Tip: `failing on the newest 3 commits that have a result`
    <{SILENCE_JOB}|Silence this job>
*Reason:* `Failure_Threshold=1, Number_of_Jobs_Failing=1`
<{RUNBOOKS}/TrunkJobBroken.md|Runbook> · <http://localhost:3000/d/trunkwatch-trunk\
?var-repo=pytorch%2Fpytorch&amp;var-branch=main&amp;var-group=inductor|Dashboard> · \
<http://localhost:10077/|Page> · <http://localhost:9090/graph?g0.expr=x&amp;g0.tab=1|Source> · \
<{SILENCE_ALL}|Silence all of it>
"""

# Mentions, references, markup of every medium, invisible characters, and line breaks.
HOSTILE = (
    "<!channel> <@U1> @team #1 `x` *b* _i_ ~s~ [l](https://evil.example) ![i](//evil.example) &lt;b"
    " <script>\u202e\u200b\x1b[31m\x00 {{ .x }} \\` | \r\n\n# Title\n    Silence this job: https://e"
)

LINK = {
    "trunkwatch.markdown": re.compile(r"\[[A-Z][\w ]+\]\(<https?://[^<>\s]+>\)"),
    "trunkwatch.slack": re.compile(r"<https?://[^<>|\s]+\|[A-Z][\w ]+>"),
}
SPAN = re.compile(r"`[^`\n]+`")


def hostile(*, ended: bool = False) -> Alert:
    """Return an alert all of whose texts and URLs contain markup."""
    alert = broken("x")
    kept = {"alertname", "severity"}
    labels = {name: v if name in kept else HOSTILE for name, v in alert.labels.items()}
    notes = dict.fromkeys(alert.annotations, HOSTILE)
    suspects = f"3 commits, oldest first\n{HOSTILE}"
    return Alert(labels, notes | {"suspects": suspects, "failures": "3"}, ended)


def both() -> tuple[Alert, Alert]:
    """Return one hostile alert that fires and one that is resolved."""
    return hostile(), hostile(ended=True)


@pytest.mark.parametrize("medium", MEDIA)
def test_every_medium_tells_the_same_in_the_same_order(medium: str, tmp_path: Path) -> None:
    """Plain text, Markdown and Slack have the same captions, from summary to silence."""
    message = render(medium, notification(broken("a"), broken("b", ended=True)), tmp_path)
    told = SPAN.sub("", re.sub(r"^.*Closed by.*\n", "", message, flags=re.MULTILINE))
    starts = re.compile(rf"(?:^[ *•-]*\[?|[|·] ?)({CAPTION.pattern})\b(?=[]:>])", re.MULTILINE)
    assert [found[1].strip() for found in starts.finditer(told.replace(":*", ":"))] == CAPTIONS


def test_one_job_in_markdown(tmp_path: Path) -> None:
    """Markdown has lists, links, and code spans around external text."""
    assert render("trunkwatch.markdown", notification(broken("sm86")), tmp_path) == MARKDOWN


def test_one_job_in_slack(tmp_path: Path) -> None:
    """Slack has its own links and bold, and code spans around external text."""
    assert render("trunkwatch.slack", notification(broken("sm86")), tmp_path) == SLACK


@pytest.mark.parametrize("medium", MEDIA)
@pytest.mark.parametrize(("jobs", "more"), [(2, False), (25, True)])
def test_every_medium_puts_the_longest_outage_first(
    medium: str, jobs: int, more: bool, tmp_path: Path
) -> None:
    """Jobs are sorted by number of failures in every medium, and omitted jobs are counted."""
    alerts = [broken(f"job-{n:02}", n + 1) for n in range(jobs)]
    message = render(medium, notification(*alerts), tmp_path)
    told = [int(n) for n in re.findall(r"job-(\d\d)`? \(workflow", message)]
    # The summary names a job only if there is one.
    assert told == sorted(range(jobs), reverse=True)[: len(told)]
    left = re.findall(r"^[ -]*and (\d+) more$", message, re.MULTILINE)
    assert left == ([str(jobs - len(told))] if more else [])
    assert len(told) == (20 if more and medium != "trunkwatch.slack" else min(len(told), jobs))
    assert len(told) >= 2


def test_no_line_of_the_plain_text_is_somebody_else_s(tmp_path: Path) -> None:
    """Hostile texts stay on their own lines, without angle brackets and invisible characters."""
    message = render("trunkwatch.text", notification(*both()), tmp_path)
    assert not re.search(r"[<>]", message)
    assert all(c.isprintable() for c in message.replace("\n", ""))
    lines = message.splitlines()
    assert [line[:24] for line in lines if "Silence this job: http://localhost" in line] == [
        "    Silence this job: ht"
    ]
    # Only the list of suspects may contain external lines; it is indented deeper than captions.
    assert [
        line for line in lines if re.match(r" *(# Title|Silence this job: https://e)", line)
    ] == [
        "      # Title",
        "      Silence this job: https://e",
    ]


@pytest.mark.parametrize("medium", ["trunkwatch.markdown", "trunkwatch.slack"])
def test_no_text_from_outside_is_markup(medium: str, tmp_path: Path) -> None:
    """Outside code spans and the template's links there is no external text."""
    message = render(medium, notification(*both()), tmp_path)
    rest = LINK[medium].sub("", SPAN.sub("", message))
    assert not re.search(r"[<>@#`&]|evil|channel|script", rest), rest
    assert all(c.isprintable() for c in message.replace("\n", ""))
    assert "//evil.example" not in "".join(LINK[medium].findall(message))


def test_slack_sees_entities(tmp_path: Path) -> None:
    """Markup in code spans is escaped, because Slack interprets it there too."""
    message = render("trunkwatch.slack", notification(*both()), tmp_path)
    rest = LINK["trunkwatch.slack"].sub("", message)
    assert "&lt;!channel&gt;" in rest
    assert "<" not in rest
    assert ">" not in rest


@pytest.mark.parametrize("medium", MEDIA)
def test_no_address_of_another_kind_is_a_link(medium: str, tmp_path: Path) -> None:
    """A URL that would run a script or end its link is omitted."""
    for url in ("javascript:alert(1)", "https://x/>|<!channel", "https://x/ y", "https://x\n", ""):
        message = render(medium, notification(broken("a", url=url, compare_url=url)), tmp_path)
        assert "First failing run" not in message
        assert "Compare" not in message


def test_plain_text_within_html_is_escaped(tmp_path: Path) -> None:
    """The plain text is escaped when a mail has it as HTML."""
    data = notification(hostile())
    page = render("trunkwatch.text", data, tmp_path, kind="html")
    assert html.unescape(page) == render("trunkwatch.text", data, tmp_path)
    assert "<" not in page
    assert "&#34;" in page or "&#39;" in page


def in_bytes(text: str) -> int:
    """Return the size of a text."""
    return len(text.encode())


LIMITS: list[tuple[str, Callable[[str], int], int]] = [
    ("trunkwatch.title", len, 260),
    ("trunkwatch.slack", in_bytes, 8_000),
    ("trunkwatch.text", len, 100_000),
    ("trunkwatch.markdown", len, 100_000),
]


def long(job: int, text: str, *, ended: bool) -> Alert:
    """Return an alert with texts that are far too long."""
    alert = broken("x")
    notes = dict.fromkeys(alert.annotations, text * 5_000)
    notes["suspects"] = "\n".join(["99 commits, oldest first", *[text * 500] * 99, str(job)])
    notes["failures"] = str(job)
    notes["url"] = notes["compare_url"] = f"https://ci.example/{'&' * 400}"
    return Alert({**alert.labels, "job_name": f"{text * 290}{job}"}, notes, ended)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a b", "&", "☃", "<"])
@pytest.mark.parametrize(("medium", "size", "limit"), LIMITS, ids=[name for name, *_ in LIMITS])
def test_no_message_is_longer_than_its_medium_takes(
    medium: str, size: Callable[[str], int], limit: int, text: str, tmp_path: Path
) -> None:
    """Forty jobs, half of them resolved, with texts of any length stay within the limit."""
    alerts = [long(n, text, ended=n % 2 == 0) for n in range(100, 140)]
    message = render(medium, notification(*alerts), tmp_path)
    assert size(message) <= limit


def test_slack_tells_as_many_jobs_as_fit(tmp_path: Path) -> None:
    """Jobs with names of the usual length fill the message to more than half of its limit."""
    name = "linux-jammy-cuda12.8-py3.10-gcc9-sm86 / test (inductor_torchbench_{:02})"
    alerts = [broken(name.format(n), n) for n in range(25)]
    message = render("trunkwatch.slack", notification(*alerts), tmp_path)
    told = len(re.findall(r"^• ", message, re.MULTILINE))
    assert f"and {25 - told} more\n" in message
    assert 4_000 < in_bytes(message) <= 8_000


@pytest.mark.parametrize("length", [20, 60, 100, 150, 300])
def test_slack_stays_within_its_limit_at_every_length(length: int, tmp_path: Path) -> None:
    """With names of any length the first jobs are listed within the limit of 8,000 bytes."""
    suspects = "\n".join(["9 commits, oldest first", *["<" * length] * 9])
    alerts = [
        broken("x" * (length - 3) + str(n), n, ended=n % 3 == 0, suspects=f"{suspects}{n}")
        for n in range(100, 125)
    ]
    message = render("trunkwatch.slack", notification(*alerts), tmp_path)
    assert in_bytes(message) <= 8_000
    assert re.search(r"^• `x+", message, re.MULTILINE)
