"""The messages that a real Alertmanager sends to the commented-out receivers once enabled."""

import email
import email.policy
import queue
import shutil
import socketserver
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.deploy.files import ALERTMANAGER, TEMPLATES, switched_on
from tests.deploy.live import PATIENCE, Inbox, Message, post, running, serving
from tests.deploy.notification import broken
from tests.support.engines import NEWEST, PAIRS

pytestmark = pytest.mark.live

JOB = "sm86 / test (a)"
SECRET = "what-the-file-holds"


class Mailbox(socketserver.ThreadingTCPServer):
    """A minimal mail server that keeps every mail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mailed)
        self.told: queue.Queue[email.message.EmailMessage] = queue.Queue()


class Mailed(socketserver.StreamRequestHandler):
    """One SMTP session (RFC 5321)."""

    server: Mailbox

    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline():
            command = line[:4].upper().strip()
            if command == b"DATA":
                self.say("354 go on")
                self.server.told.put(self.mail())
            self.say("221 bye" if command == b"QUIT" else "250 ok")

    def mail(self) -> email.message.EmailMessage:
        """Read one mail up to its end mark."""
        lines = list(iter(self.rfile.readline, b".\r\n"))
        return email.message_from_bytes(b"".join(lines), policy=email.policy.default)

    def say(self, text: str) -> None:
        """Send one line."""
        self.wfile.write(f"{text}\r\n".encode())


def config(folder: Path, http: int, smtp: int, pair: str) -> Path:
    """Write settings with one receiver of all kinds, each with an address on loopback."""
    (folder / "secret").write_text(SECRET)
    (folder / "slack").write_text(f"http://127.0.0.1:{http}/slack")
    settings = yaml.safe_load(switched_on(ALERTMANAGER))
    one: dict[str, Any] = {"name": "all"}
    for receiver in settings["receivers"]:
        one |= {kind: value for kind, value in receiver.items() if kind != "name"}
    one.pop("webhook_configs")
    if pair == NEWEST:  # 0.25 has no `payload`
        payload = {"text": '{{ template "trunkwatch.details" . }}'}
        one["webhook_configs"] = [{"url": f"http://127.0.0.1:{http}/payload", "payload": payload}]
    one["slack_configs"][0]["api_url_file"] = str(folder / "slack")
    one["pagerduty_configs"][0] |= {
        "url": f"http://127.0.0.1:{http}/pagerduty",
        "routing_key_file": str(folder / "secret"),
    }
    one["pagerduty_configs"][0]["details"] |= {
        "title": '{{ "\\t" }}{{ template "trunkwatch.title" . }}',
        "bare": '{{ template "trunkwatch.title" . }}',
    }
    one["webex_configs"][0]["api_url"] = f"http://127.0.0.1:{http}/webex"
    authorization = one["webex_configs"][0]["http_config"]["authorization"]
    authorization["credentials_file"] = str(folder / "secret")
    # The mail server of this test supports neither TLS nor authentication.
    mail = one["email_configs"][0]
    mail |= {"smarthost": f"127.0.0.1:{smtp}", "require_tls": False}
    for key in ("auth_username", "auth_password_file"):
        mail.pop(key)
    # One message per job, so that each job's name is met.
    route = {"receiver": "all", "group_by": ["alertname", "job_name"], "group_wait": "200ms"}
    shutil.copytree(TEMPLATES, folder / TEMPLATES.name)
    path = folder / ALERTMANAGER.name
    path.write_text(
        yaml.safe_dump({"templates": settings["templates"], "route": route, "receivers": [one]})
    )
    return path


class Told(NamedTuple):
    """The messages of each receiver, one per job, in the order of the jobs.

    Attributes:
        posted: the headers' authorization and the JSON, by the receiver's kind.
        mails: the mails.
    """

    posted: dict[str, list[tuple[str, Any]]]
    mails: list[email.message.EmailMessage]

    def first(self, receiver: str) -> tuple[str, Any]:
        """Return the message of a receiver about JOB."""
        return next(message for message in self.posted[receiver] if JOB in str(message))


# Names that YAML reads as something else than a text, or cannot read at all.
NAMES = (
    *("[P2] x", "{a: b}", "*x", "&x y", "!x", "%x", "# x", "x: y", "- x", "? x", "|", "> x", "@x"),
    *("yes", "null", "~", "1e3", "0x1f", "12:30:45", "2025-12-09", "'x", '"x"', "{{ .x }}", "`x"),
)


@pytest.fixture(scope="module", params=PAIRS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Send broken jobs to every kind of receiver; return each receiver's messages."""
    messages: queue.Queue[Message] = queue.Queue()
    mailbox = Mailbox()
    alerts = [
        broken(job, title=job, first_bad_by=f"{job} author-b: <!channel> & co").data()
        for job in (JOB, *NAMES)
    ]
    sent = [{k: alert[k] for k in ("labels", "annotations", "generatorURL")} for alert in alerts]
    kinds = 4 if request.param == NEWEST else 3
    with ExitStack() as stack:
        http, smtp = (
            stack.enter_context(serving(server)) for server in (Inbox(messages.put), mailbox)
        )
        folder = tmp_path_factory.mktemp("alertmanager")
        settings = config(folder, http, smtp, request.param)
        post(stack.enter_context(running(settings, request.param)), *sent)
        posted: dict[str, list[tuple[str, Any]]] = {}
        for _ in range(kinds * len(sent)):
            name, key, body = messages.get(timeout=PATIENCE)
            posted.setdefault(name, []).append((key, body))
        return Told(posted, [mailbox.told.get(timeout=PATIENCE) for _ in sent])


def text_of(mail: email.message.EmailMessage) -> str:
    """Return the only part of a mail."""
    (part,) = [part for part in mail.walk() if not part.is_multipart()]
    assert part.get_content_type() == "text/plain"
    content = part.get_content()
    assert isinstance(content, str)
    return "\n".join(content.splitlines())


def test_slack_gets_the_slack_text(told: Told) -> None:
    """Slack's attachment has the title, a link to the failing run, and Slack's own markup."""
    _, body = told.first("slack")
    (attachment,) = body["attachments"]
    assert body["channel"] == "#trunk"
    assert attachment["title"] == attachment["fallback"] == JOB
    assert attachment["title_link"] == "https://github.com/pytorch/pytorch/actions/runs/7"
    assert attachment["text"].startswith(f"• `{JOB}` (`inductor`)\n")
    assert f"`{JOB} author-b: &lt;!channel&gt; &amp; co`" in attachment["text"]


def test_pagerduty_gets_the_title_and_the_key_of_the_file(told: Told) -> None:
    """PagerDuty is sent the title as summary, and a link to the failing run."""
    _, body = told.first("pagerduty")
    assert body["routing_key"] == SECRET
    assert body["payload"]["summary"] == JOB
    assert body["client_url"] == "https://github.com/pytorch/pytorch/actions/runs/7"
    details = body["payload"]["custom_details"]
    assert details["firing"] == details["resolved"] == "listed in text"


def test_no_text_is_read_as_yaml(told: Told) -> None:
    """The details and payloads are the text of the mail, whatever the job is called."""
    titles = sorted(body["attachments"][0]["title"] for _, body in told.posted["slack"])
    details = [body["payload"]["custom_details"] for _, body in told.posted["pagerduty"]]
    assert sorted(each["title"].strip() for each in details) == titles
    if "payload" in told.posted:
        # Without the tab, the same values are read as YAML: the test sees it.
        assert any(not isinstance(each["bare"], str) for each in details)
    mails = sorted(text_of(mail).rstrip() for mail in told.mails)
    assert len(set(mails)) == len(NAMES) + 1
    assert sorted(each["text"].strip() for each in details) == mails
    payloads = told.posted.get("payload")
    if payloads:
        assert sorted(body["text"].strip() for _, body in payloads) == mails


def test_webex_gets_markdown(told: Told) -> None:
    """Webex is sent Markdown, with the token of the file."""
    key, body = told.first("webex")
    assert key == f"Bearer {SECRET}"
    assert body["markdown"].startswith(f"**`{JOB}`**\n\n- `{JOB}` (workflow `inductor`)\n")


def test_a_mail_is_the_plain_text(told: Told) -> None:
    """A mail's subject is the title, and its only part is the plain text."""
    mail = next(mail for mail in told.mails if mail["Subject"] == JOB)
    assert text_of(mail).startswith(f"- {JOB} (workflow inductor)")
