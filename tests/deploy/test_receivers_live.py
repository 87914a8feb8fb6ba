"""The messages that a real Alertmanager sends to the commented-out receivers once enabled."""

import email
import email.policy
import json
import queue
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import ALERTMANAGER, TEMPLATES, switched_on
from tests.deploy.live import PATIENCE, post, running
from tests.deploy.notification import TITLE, broken

pytestmark = pytest.mark.live

JOB = "sm86 / test (a)"
SECRET = "what-the-file-holds"


class Messages(ThreadingHTTPServer):
    """An HTTP server that keeps each posted message with its path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Posted)
        self.told: queue.Queue[tuple[str, str, Any]] = queue.Queue()


class Posted(BaseHTTPRequestHandler):
    """A handler that accepts every message, with PagerDuty's status for PagerDuty."""

    server: Messages

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        receiver = self.path.strip("/")
        self.server.told.put((receiver, self.headers.get("Authorization", ""), body))
        self.send_response(202 if receiver == "pagerduty" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


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


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def config(folder: Path, http: int, smtp: int) -> Path:
    """Write settings with one receiver of all kinds, each with an address on loopback."""
    (folder / "secret").write_text(SECRET)
    (folder / "slack").write_text(f"http://127.0.0.1:{http}/slack")
    settings = yaml.safe_load(switched_on(ALERTMANAGER))
    one: dict[str, Any] = {"name": "all"}
    for receiver in settings["receivers"]:
        one |= {kind: value for kind, value in receiver.items() if kind != "name"}
    one.pop("webhook_configs")
    one["slack_configs"][0]["api_url_file"] = str(folder / "slack")
    one["pagerduty_configs"][0] |= {
        "url": f"http://127.0.0.1:{http}/pagerduty",
        "routing_key_file": str(folder / "secret"),
    }
    one["webex_configs"][0]["api_url"] = f"http://127.0.0.1:{http}/webex"
    authorization = one["webex_configs"][0]["http_config"]["authorization"]
    authorization["credentials_file"] = str(folder / "secret")
    # The mail server of this test supports neither TLS nor authentication.
    mail = one["email_configs"][0]
    mail |= {"smarthost": f"127.0.0.1:{smtp}", "require_tls": False}
    for key in ("auth_username", "auth_password_file"):
        mail.pop(key)
    route = {"receiver": "all", "group_by": settings["route"]["group_by"], "group_wait": "200ms"}
    shutil.copytree(TEMPLATES, folder / TEMPLATES.name)
    path = folder / ALERTMANAGER.name
    path.write_text(
        yaml.safe_dump({"templates": settings["templates"], "route": route, "receivers": [one]})
    )
    return path


Told = tuple[dict[str, tuple[str, Any]], email.message.EmailMessage]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Send one broken job to every kind of receiver; return each receiver's message."""
    messages, mailbox = Messages(), Mailbox()
    alert = broken(JOB, first_bad_by="author-b: <!channel> & co").data()
    sent = {key: alert[key] for key in ("labels", "annotations", "generatorURL")}
    with ExitStack() as stack:
        http, smtp = (stack.enter_context(serving(server)) for server in (messages, mailbox))
        folder = tmp_path_factory.mktemp("alertmanager")
        port = stack.enter_context(running(config(folder, http, smtp)))
        post(port, sent)
        posted = [messages.told.get(timeout=PATIENCE) for _ in range(3)]
        return {name: (key, body) for name, key, body in posted}, mailbox.told.get(timeout=PATIENCE)


def test_slack_gets_the_slack_text(told: Told) -> None:
    """Slack's attachment has the title, a link to the failing run, and Slack's own markup."""
    _, body = told[0]["slack"]
    (attachment,) = body["attachments"]
    assert body["channel"] == "#trunk"
    assert attachment["title"] == attachment["fallback"] == TITLE
    assert attachment["title_link"] == "https://github.com/pytorch/pytorch/actions/runs/7"
    assert f"• `{JOB}` (workflow `inductor`)\n" in attachment["text"]
    assert "`author-b: &lt;!channel&gt; &amp; co`" in attachment["text"]


def test_pagerduty_gets_the_title_and_the_plain_text(told: Told) -> None:
    """PagerDuty is sent the title as summary, the text as details, and the key of the file."""
    _, body = told[0]["pagerduty"]
    assert body["routing_key"] == SECRET
    assert body["payload"]["summary"] == TITLE
    assert f"  - {JOB} (workflow inductor)\n" in body["payload"]["custom_details"]["text"]
    assert body["client_url"] == "https://github.com/pytorch/pytorch/actions/runs/7"


def test_webex_gets_markdown(told: Told) -> None:
    """Webex is sent Markdown, with the token of the file."""
    key, body = told[0]["webex"]
    assert key == f"Bearer {SECRET}"
    assert body["markdown"].startswith(f"**`{TITLE}`**\n")
    assert f"  - `{JOB}` (workflow `inductor`)\n" in body["markdown"]


def test_a_mail_is_the_plain_text(told: Told) -> None:
    """A mail's subject is the title, and its only part is the plain text."""
    mail = told[1]
    assert mail["Subject"] == TITLE
    (part,) = [part for part in mail.walk() if not part.is_multipart()]
    assert part.get_content_type() == "text/plain"
    content = part.get_content()
    assert isinstance(content, str)
    assert f"  - {JOB} (workflow inductor)" in content.splitlines()
