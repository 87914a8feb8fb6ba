"""The message in each medium: the same facts in the same order, and external text is escaped."""

import html
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.deploy.notification import (
    FACTS,
    FIXED,
    LINKED,
    MEDIA,
    UNSET,
    Alert,
    broken,
    description,
    fixed,
    notification,
    of_exporter,
    render,
    render_all,
)
from tests.support.engines import PAIRS

# The captions of a message with one firing and one resolved job, from top to bottom.
CAPTIONS = [
    "Occurred at",
    "First bad",
    "Failed step",
    "First failing run",
    "Suspects",
    "Last good",
    "Compare",
    "Silence this job",
    "State",
    "Reason",
    "Runbook",
    "Page",
    "Source",
    "Dashboard",
    "Silence all of it",
]
CAPTION = re.compile(rf"\b({'|'.join(CAPTIONS)})\b(?=[]:>])")

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


def hostile(*, resolved: bool = False) -> Alert:
    """Return an alert all of whose texts and URLs contain markup."""
    alert = broken("x")
    kept = {"alertname", "severity"}
    labels = {name: v if name in kept else HOSTILE for name, v in alert.labels.items()}
    one_line = re.sub(r"\s+", " ", HOSTILE)
    facts = dict.fromkeys([*FACTS, *FIXED, "page"], one_line) | {
        "failures": "3",
        "suspects": f"3\n5555555555 {one_line}\n{one_line}",
        "ended": "fixed" if resolved else "",
    }
    notes = dict.fromkeys(alert.annotations, HOSTILE) | {"description": description(**facts)}
    return Alert(labels, notes, resolved)


def both() -> tuple[Alert, Alert]:
    """Return one hostile alert that fires and one that is resolved."""
    return hostile(), hostile(resolved=True)


def captions(message: str) -> list[str]:
    """Return the captions of a message, from top to bottom."""
    return CAPTION.findall(SPAN.sub("", message).replace("|", "<"))


@pytest.mark.parametrize("medium", MEDIA)
def test_every_medium_tells_the_same_in_the_same_order(medium: str) -> None:
    """Plain text, Markdown and Slack have the same captions; a long address has none."""
    message = render(medium, notification(broken("a"), fixed("b")))
    assert captions(message) == [each for each in CAPTIONS if each != "Source"]
    message = render(medium, notification(of_exporter()))
    assert captions(message) == CAPTIONS[CAPTIONS.index("State") :][:1] + CAPTIONS[-5:]


@pytest.mark.parametrize("engines", PAIRS)
@pytest.mark.parametrize("medium", MEDIA)
def test_an_address_that_is_not_set_has_no_link(medium: str, engines: str) -> None:
    """Without a Grafana or pages of Alertmanager, the other links stay as they are."""
    for alerts in ([broken("a"), fixed("b")], [of_exporter()]):
        data = notification(*alerts)
        linked, plain = (
            render_all([medium], data, engines=engines, places=places)[0]
            for places in (LINKED, UNSET)
        )
        wanted = [c for c in captions(linked) if not re.match("Dashboard|Silence", c)]
        assert captions(plain) == wanted
        assert not re.search("[·-] *$|/d/trunkwatch|silences/new", plain, re.MULTILINE)


def test_no_line_of_the_plain_text_is_somebody_else_s() -> None:
    """Hostile texts stay on their own lines, without angle brackets and invisible characters."""
    message = render("trunkwatch.text", notification(*both()))
    assert not re.search(r"[<>]", message)
    assert all(c.isprintable() for c in message.replace("\n", ""))
    # Only the list of suspects may begin with external text, indented deeper than the captions.
    for line in message.splitlines():
        assert not re.match(r" {0,3}(# Title|Silence this job: https://e)", line)


@pytest.mark.parametrize("medium", ["trunkwatch.markdown", "trunkwatch.slack"])
def test_no_text_from_outside_is_markup(medium: str) -> None:
    """Outside code spans and the template's links there is no external text."""
    message = render(medium, notification(*both()))
    rest = LINK[medium].sub("", SPAN.sub("", message))
    assert not re.search(r"[<>@#`&]|evil|channel|script", rest), rest
    assert all(c.isprintable() for c in message.replace("\n", ""))
    assert "//evil.example" not in "".join(LINK[medium].findall(message))


@pytest.mark.parametrize("medium", MEDIA)
def test_a_silence_is_of_one_trunkwatch(medium: str) -> None:
    """One for staging leaves the same job of production loud; the only one has no such label."""
    alert = broken("a")
    assert "trunkwatch%3D" not in render(medium, notification(alert))
    named = replace(alert, labels={**alert.labels, "trunkwatch": "staging"})
    assert "Ctrunkwatch%3D%22staging%22%7D" in render(medium, notification(named))


def test_slack_sees_entities() -> None:
    """Markup in code spans is escaped, because Slack interprets it there too."""
    message = render("trunkwatch.slack", notification(*both()))
    rest = LINK["trunkwatch.slack"].sub("", message)
    assert "&lt;!channel&gt;" in rest
    assert "<" not in rest
    assert ">" not in rest


@pytest.mark.parametrize("medium", MEDIA)
def test_no_address_of_another_kind_is_a_link(medium: str) -> None:
    """A URL that would run a script or end its link is omitted."""
    for url in ("javascript:alert(1)", "https://x/>|<!channel", "https://x/ y", ""):
        message = render(medium, notification(broken("a", url=url, compare=url, commits=url)))
        assert "First failing run" not in message
        assert "Compare" not in message
        assert "/commit/" not in message


def test_plain_text_within_html_is_escaped() -> None:
    """The plain text is escaped when a mail has it as HTML."""
    data = notification(hostile())
    page = render("trunkwatch.text", data, kind="html")
    assert html.unescape(page) == render("trunkwatch.text", data)
    assert "<" not in page
    assert "&#34;" in page or "&#39;" in page


def in_bytes(text: str) -> int:
    """Return the size of a text."""
    return len(text.encode())


LIMITS: list[tuple[str, Callable[[str], int], int]] = [
    ("trunkwatch.title", len, 300),
    ("trunkwatch.slack", in_bytes, 8_000),
    ("trunkwatch.text", len, 100_000),
    ("trunkwatch.markdown", len, 100_000),
]


def long(job: int, text: str, *, resolved: bool) -> Alert:
    """Return an alert with texts that are far too long."""
    url = f"https://ci.example/{'&' * 150}"
    facts = dict.fromkeys([*FACTS, *FIXED], text * 500) | {
        "failures": str(job),
        "first_bad": "4" * 40,
        "last_good": "2" * 40,
        "url": url,
        "compare": url,
        "commits": f"https://ci.example/{'&' * 70}/",
        "suspects": "\n".join(["99", *[f"5555555555 {text * 100}"] * 99, str(job)]),
        "ended": "fixed" if resolved else "",
    }
    alert = broken("x", resolved=resolved)
    notes = dict.fromkeys(alert.annotations, text * 500) | {"description": description(**facts)}
    return Alert({**alert.labels, "job_name": f"{text * 290}{job}"}, notes, resolved)


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a b", "&", "☃", "<"])
@pytest.mark.parametrize(("medium", "size", "limit"), LIMITS, ids=[name for name, *_ in LIMITS])
def test_no_message_is_longer_than_its_medium_takes(
    medium: str, size: Callable[[str], int], limit: int, text: str
) -> None:
    """Forty jobs, half of them resolved, with texts of any length stay within the limit."""
    alerts = [long(n, text, resolved=n % 2 == 0) for n in range(100, 140)]
    message = render(medium, notification(*alerts))
    assert size(message) <= limit


def test_slack_tells_as_many_jobs_as_fit() -> None:
    """Jobs with names of the usual length fill the message to more than half of its limit."""
    name = "linux-jammy-cuda12.8-py3.10-gcc9-sm86 / test (inductor_torchbench_{:02})"
    alerts = [broken(name.format(n), n) for n in range(25)]
    message = render("trunkwatch.slack", notification(*alerts))
    told = len(re.findall(r"^• ", message, re.MULTILINE))
    assert f"and {25 - told} more\n" in message
    assert told >= 14
    assert 4_000 < in_bytes(message) <= 8_000


@pytest.mark.parametrize("length", [20, 100, 300])
def test_slack_stays_within_its_limit_at_every_length(length: int) -> None:
    """With names of any length the first jobs are listed within the limit of 8,000 bytes."""
    suspects = "\n".join(["9", *["5555555555 " + "<" * length] * 9])
    alerts = [
        broken("x" * (length - 3) + str(n), n, resolved=n % 3 == 0, suspects=f"{suspects}{n}")
        for n in range(100, 125)
    ]
    message = render("trunkwatch.slack", notification(*alerts))
    assert in_bytes(message) <= 8_000
    assert re.search(r"^• `x+", message, re.MULTILINE)
