"""POST /webhook/<source name> over real sockets: which requests are accepted, and the answers."""

import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import BadDelivery, CredentialsError, StoreError
from trunkwatch.sources import Delivery, DeliveryUpdate
from trunkwatch.sources.deliveries import WORD_LIMIT, verify_signature
from trunkwatch.sources.github.webhook import SIGNATURE, check_signature_header, read_event
from trunkwatch.web import Hook, Webhook, WebhookOnly, WebServer
from trunkwatch.web import connection as web_connection
from trunkwatch.web.answer import is_at_most
from trunkwatch.web.gateway import DRAIN_LIMIT_BYTES
from trunkwatch.web.webhook import BODY_LIMIT_BYTES, REMEMBERED_DELIVERIES, REMEMBERED_SECONDS

from tests.support.waiting import eventually
from tests.web.conftest import listening

SECRET = b"It's a Secret to Everybody"
OTHER = b"an0ther one of s0mebody else"
BODY = b'{"action": "completed", "workflow_job": {"id": 1}}'
SECONDS = 30.0
PATH = "/webhook/ci"


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def headers_of(body: bytes, number: str = "d-1", **changes: str | None) -> dict[str, str]:
    """The headers that GitHub sends; a change names one with `_` for `-`, None leaves it out."""
    sent: dict[str, str | None] = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "workflow_job",
        "X-GitHub-Delivery": number,
        "X-Hub-Signature-256": signature(body),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return {name: value for name, value in sent.items() if value is not None}


@dataclass(frozen=True)
class Update:
    """An update without facts; `needs_refresh` does not matter here."""

    needs_refresh: bool = False

    def facts(self, state: SourceState) -> tuple[Fact, ...]:
        del state
        return ()


class Receiver:
    """A source that verifies deliveries as GitHub's does, and what becomes of them.

    Attributes:
        secret: of the webhook; None while it is off.
        got: event, id and payload of each delivery that was parsed and is not a ping.
        watched: whether deliveries concern anything watched.
        does: what happens while a delivery is stored.
        complaint: the error of the next delivery; empty for none.
    """

    def __init__(self, name: str = "ci", secret: bytes | None = SECRET) -> None:
        self.name = name
        self.secret: bytes | Exception | None = secret
        self.got: list[tuple[str, str, Mapping[str, Any]]] = []
        self.parsed: tuple[str, str, Mapping[str, Any]] | None = None
        self.watched = True
        self.does: Callable[[], None] = lambda: None
        self.complaint = ""

    def hook(self) -> Hook:
        return Hook(self.name, self, self._ingest)

    @property
    def webhook_enabled(self) -> bool:
        return self.secret is not None

    def check_headers(self, headers: Mapping[str, str]) -> None:
        check_signature_header(headers)

    def parse_delivery(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        if isinstance(self.secret, Exception):
            raise self.secret
        verify_signature(headers.get(SIGNATURE, ""), body, self.secret)
        event, delivery_id, payload = read_event(headers, body)
        if self.complaint:
            raise BadDelivery(self.complaint)
        self.parsed = (event, delivery_id, payload)
        update = Update() if self.watched else None
        return Delivery(delivery_id, update, is_ping=event == "ping")

    def _ingest(self, update: DeliveryUpdate) -> None:
        assert isinstance(update, Update)
        assert self.parsed is not None
        self.got.append(self.parsed)
        self.does()


class Endpoint:
    """A listener of its own for webhooks, and whoever sends to it.

    Attributes:
        receivers: who may take deliveries.
        counted: the outcome of each request.
        now: what the endpoint's clock shows (seconds).
    """

    def __init__(self) -> None:
        self.receivers = [Receiver()]
        self.counted: list[str] = []
        self.now = 0.0
        self.webhook = Webhook(
            lambda: {f"/webhook/{each.name}": each.hook() for each in self.receivers},
            self.counted.append,
            lambda: self.now,
        )
        self.server = WebServer("127.0.0.1:0", WebhookOnly(self.webhook))
        self.server.start()

    @property
    def receiver(self) -> Receiver:
        return self.receivers[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}{PATH}"

    def post(
        self, body: bytes = BODY, number: str = "d-1", to: str = "ci", **changes: str | None
    ) -> requests.Response:
        headers = headers_of(body, number, **changes)
        url = self.url.replace(PATH, f"/webhook/{to}")
        return requests.post(url, data=body, headers=headers, timeout=SECONDS)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), SECONDS)

    def raw(self, *lines: str, body: bytes = b"") -> bytes:
        """Send a request verbatim, and return the bytes received until the server closes."""
        with closing(self.connect()) as connection:
            connection.sendall(request_of(*lines) + body)
            return read_to_end(connection)


def request_of(*lines: str, method: str = f"POST {PATH}") -> bytes:
    return "\r\n".join([f"{method} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def read_to_end(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


@pytest.fixture(scope="module")
def running() -> Iterator[Endpoint]:
    """One real listener for the module; stopping one takes half a second."""
    made = Endpoint()
    try:
        yield made
    finally:
        made.server.stop()


@pytest.fixture
def endpoint(running: Endpoint) -> Endpoint:
    """The listener, with nothing in its memory."""
    running.receivers = [Receiver()]
    running.counted.clear()
    running.webhook._seen.clear()
    return running


# ---------------------------------------------------------------------- accepted deliveries


def test_a_signed_delivery_is_taken(endpoint: Endpoint) -> None:
    """It is handed on with its event, its id and its body, and answered 202."""
    answer = endpoint.post()
    assert (answer.status_code, answer.text) == (202, "accepted\n")
    assert endpoint.receiver.got == [("workflow_job", "d-1", json.loads(BODY))]
    assert endpoint.counted == ["accepted"]


def test_it_is_stored_before_it_is_answered(endpoint: Endpoint) -> None:
    """While it is being stored, the sender has no answer yet."""
    storing, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        storing.set()
        assert go_on.wait(SECONDS)

    endpoint.receiver.does = slowly
    with closing(endpoint.connect()) as connection:
        head = [f"{name}: {value}" for name, value in headers_of(BODY).items()]
        connection.sendall(request_of(*head, f"Content-Length: {len(BODY)}") + BODY)
        assert storing.wait(SECONDS)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        go_on.set()
        connection.settimeout(SECONDS)
        assert connection.recv(65536).startswith(b"HTTP/1.1 202 ")


def test_what_nobody_wants_is_answered_too(endpoint: Endpoint) -> None:
    """A delivery that the source has no use for is no error of the sender's; sent again after a
    reload that watches its trunk, it is taken.
    """
    endpoint.receiver.watched = False
    answer = endpoint.post()
    assert (answer.status_code, answer.text) == (202, "ignored\n")
    endpoint.receiver.watched = True
    assert [endpoint.post().text for _ in range(2)] == ["accepted\n", "duplicate\n"]
    assert endpoint.counted == ["ignored", "accepted", "duplicate"]


def test_ping_is_answered(endpoint: Endpoint) -> None:
    """The ping that GitHub sends for a new webhook is answered, and is no update."""
    answer = endpoint.post(X_GitHub_Event="ping")
    assert (answer.status_code, answer.text) == (200, "pong\n")
    assert endpoint.receiver.got == []


def test_an_unsigned_ping_is_none(endpoint: Endpoint) -> None:
    """A ping shows that the secret is right, so it needs one."""
    assert endpoint.post(X_GitHub_Event="ping", X_Hub_Signature_256=None).status_code == 401


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_charset_does_not_matter(endpoint: Endpoint, kind: str) -> None:
    """JSON is JSON, however the media type is written."""
    assert endpoint.post(Content_Type=kind).status_code == 202


# ---------------------------------------------------------------------- signatures


def test_the_example_of_github_s_documentation(endpoint: Endpoint) -> None:
    """The secret, the body and the signature that GitHub publishes for checking a receiver fit."""
    said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    answer = endpoint.post(b"Hello, World!", X_Hub_Signature_256=said)
    assert (answer.status_code, answer.text) == (400, "the body is not a JSON object\n")


@pytest.mark.parametrize(
    "said",
    [
        signature(BODY, OTHER),
        signature(BODY + b" "),
        signature(BODY, b""),
        signature(BODY).removeprefix("sha256="),
        signature(BODY).upper(),
        signature(BODY)[:-1],
        signature(BODY) + "0",
        "sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest(),
        "sha256=",
        "grün".encode().decode("latin-1"),
    ],
)
def test_a_wrong_signature_is_refused(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    """It is 401 and counted; neither the secret nor any signature reaches the answer or the log."""
    caplog.set_level(logging.DEBUG)
    answer = endpoint.post(X_Hub_Signature_256=said.encode("latin-1").decode("latin-1"))
    assert answer.status_code == 401
    assert endpoint.counted == ["bad_signature"]
    assert endpoint.receiver.got == []
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("trunkwatch"))
    assert "signature does not match" in ours
    for text in (answer.text, str(answer.headers), ours):
        for secret in (SECRET.decode(), signature(BODY)[7:], said[7:] or "sha256="):
            assert secret not in text


@pytest.mark.parametrize("old", [None, "sha1=" + "0" * 40])
def test_an_unsigned_delivery_is_refused(endpoint: Endpoint, old: str | None) -> None:
    """Without a SHA-256 signature it is 401, whatever the older header holds."""
    answer = endpoint.post(X_Hub_Signature_256=None, X_Hub_Signature=old)
    assert answer.status_code == 401
    assert endpoint.counted == ["unsigned"]


def test_the_signature_is_checked_before_anything_is_parsed(endpoint: Endpoint) -> None:
    """A body that is no JSON is 401 to whoever cannot sign it, and 400 to whoever can."""
    assert endpoint.post(b"{", X_Hub_Signature_256=signature(BODY)).status_code == 401
    assert endpoint.post(b"{").status_code == 400


def test_signatures_are_compared_in_constant_time(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is made by the function that does not depend on where two texts differ."""
    compared: list[tuple[bytes, bytes]] = []
    right = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return right(a, b)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    endpoint.post()
    given = signature(BODY).encode()
    assert compared == [(given, given)]


def test_a_delivery_goes_to_the_source_of_its_path(endpoint: Endpoint) -> None:
    """Each source has a path and a secret of its own; the secret of another one does not fit."""
    endpoint.receivers = [Receiver("a"), Receiver("b", OTHER), Receiver("d", None)]
    assert [endpoint.post(to=name).status_code for name in "abdx"] == [202, 401, 404, 404]
    assert [len(receiver.got) for receiver in endpoint.receivers] == [1, 0, 0]
    assert endpoint.counted == ["accepted", "bad_signature"]


def test_a_new_secret_counts_at_once(endpoint: Endpoint) -> None:
    """The secret is read for each delivery, so that it can be changed without a restart."""
    endpoint.receiver.secret = OTHER
    assert endpoint.post().status_code == 401
    assert endpoint.post(X_Hub_Signature_256=signature(BODY, OTHER)).status_code == 202


def test_without_any_secret_it_is_off(endpoint: Endpoint) -> None:
    """Where no source has a secret there is no endpoint, and nothing is counted."""
    for receivers in ([], [Receiver(secret=None)]):
        endpoint.receivers = receivers
        answer = endpoint.post(X_Hub_Signature_256=signature(BODY, b""))
        assert answer.status_code == 404
        assert "webhook_secret_file" in answer.text
    assert endpoint.counted == []


def test_a_secret_that_cannot_be_read_is_not_off(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Its deliveries are 503, logged; those of other sources are accepted."""
    endpoint.receiver.secret = CredentialsError("webhook_secret_file /s is empty")
    endpoint.receivers.append(Receiver("other", OTHER))
    for said in (signature(BODY), signature(BODY, b"")):
        assert endpoint.post(X_Hub_Signature_256=said).status_code == 503
    signed = signature(BODY, OTHER)
    assert endpoint.post(to="other", X_Hub_Signature_256=signed).status_code == 202
    assert endpoint.counted == ["failed", "failed", "accepted"]
    assert [len(receiver.got) for receiver in endpoint.receivers] == [0, 1]
    logged = [str(vars(r)["error"]) for r in caplog.records if r.levelno >= logging.ERROR]
    assert logged == ["source ci: webhook_secret_file /s is empty"] * 2


# ---------------------------------------------------------------------- replays


def test_a_delivery_is_taken_once(endpoint: Endpoint) -> None:
    """The same id again is answered 202 and not handed on; another id is."""
    assert [endpoint.post().text for _ in range(3)] == ["accepted\n", "duplicate\n", "duplicate\n"]
    assert endpoint.post(number="d-2").text == "accepted\n"
    assert [number for _, number, _ in endpoint.receiver.got] == ["d-1", "d-2"]
    assert endpoint.counted == ["accepted", "duplicate", "duplicate", "accepted"]


def test_a_delivery_that_was_not_stored_may_come_again(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that fails is 503, and the same id is taken when it comes again."""

    def fail() -> None:
        raise StoreError("/data/t.db", "disk full")

    endpoint.receiver.does = fail
    answer = endpoint.post()
    assert (answer.status_code, answer.text) == (503, "not stored; deliver it again later\n")
    endpoint.receiver.does = lambda: None
    assert endpoint.post().text == "accepted\n"
    assert endpoint.counted == ["failed", "accepted"]
    (logged,) = [vars(r) for r in caplog.records if r.getMessage() == "delivery not stored"]
    assert (logged["source"], str(logged["error"])) == ("ci", "storage /data/t.db: disk full")


def test_an_internal_error_is_500_and_may_come_again(endpoint: Endpoint) -> None:
    """An internal error is counted, and the delivery does not count as seen."""

    def fail() -> None:
        raise ZeroDivisionError

    endpoint.receiver.does = fail
    assert endpoint.post().status_code == 500
    endpoint.receiver.does = lambda: None
    assert endpoint.post().text == "accepted\n"
    assert endpoint.counted == ["failed", "accepted"]


@pytest.mark.parametrize(("later", "text"), [(-1, "duplicate\n"), (0, "accepted\n")])
def test_a_delivery_is_remembered_for_three_days(endpoint: Endpoint, later: int, text: str) -> None:
    """That is how long GitHub sends one again on request."""
    endpoint.now = 0.0
    endpoint.post()
    endpoint.now = REMEMBERED_SECONDS + later
    assert endpoint.post().text == text


def test_the_memory_of_deliveries_is_bounded(endpoint: Endpoint) -> None:
    """The oldest is forgotten when there are too many."""
    endpoint.post(number="first")
    for number in range(REMEMBERED_DELIVERIES - 1):
        endpoint.webhook._seen["ci", str(number)] = None
    endpoint.post(number="one more")
    assert len(endpoint.webhook._seen) == REMEMBERED_DELIVERIES
    assert endpoint.post(number="one more").text == "duplicate\n"
    assert endpoint.post(number="first").text == "accepted\n"


def test_one_delivery_many_times_at_once_is_taken_once(endpoint: Endpoint) -> None:
    """Only one of them is handed on, however they meet."""
    second = threading.Barrier(2)

    def wait_for_another() -> None:
        with suppress(threading.BrokenBarrierError):
            second.wait(0.2)  # long enough for another one to come in, if it could

    endpoint.receiver.does = wait_for_another
    with ThreadPoolExecutor(8) as pool:
        texts = sorted(pool.map(lambda _: endpoint.post().text, range(16)))
    assert texts == ["accepted\n"] + ["duplicate\n"] * 15
    assert len(endpoint.receiver.got) == 1


def test_a_forged_delivery_does_not_use_up_an_id(endpoint: Endpoint) -> None:
    """Who cannot sign cannot make the real one look like a repetition."""
    assert endpoint.post(X_Hub_Signature_256=signature(BODY, OTHER)).status_code == 401
    assert endpoint.post().text == "accepted\n"


# ---------------------------------------------------------------------- malformed deliveries


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"a": ', 400),
        (b'{"a": "\xff"}', 400),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400),
        (b'{"a": ' + b"1" * 5000 + b"}", 202),
        (b"payload=%7B%7D", 400),
        (b"{}", 202),
    ],
    ids=[
        "empty",
        "list",
        "null",
        "cut off",
        "bytes",
        "too deep",
        "a long number",
        "form",
        "object",
    ],
)
def test_a_body_is_a_json_object(endpoint: Endpoint, body: bytes, status: int) -> None:
    """Anything else is 400, even when it is signed."""
    assert endpoint.post(body).status_code == status
    assert endpoint.counted == ["accepted" if status == 202 else "malformed"]


def test_a_body_that_makes_no_sense_is_400(endpoint: Endpoint) -> None:
    """The source's complaint is the answer; the id may be used again."""

    endpoint.receiver.complaint = "workflow_job: id is missing"
    answer = endpoint.post()
    assert (answer.status_code, answer.text) == (400, "workflow_job: id is missing\n")
    assert endpoint.counted == ["malformed"]
    endpoint.receiver.complaint = ""
    assert endpoint.post().text == "accepted\n"


@pytest.mark.parametrize("name", ["Event", "Delivery"])
@pytest.mark.parametrize(
    ("value", "status"),
    [(None, 400), ("", 400), ("x" * WORD_LIMIT, 202), ("x" * (WORD_LIMIT + 1), 400)],
    ids=["missing", "empty", "long", "too long"],
)
def test_github_s_own_headers_are_needed(
    endpoint: Endpoint, name: str, value: str | None, status: int
) -> None:
    """Without event or id there is nothing to go by, and the answer names the header."""
    answer = endpoint.post(BODY, "d-1", "ci", **{f"X-GitHub-{name}": value})
    assert answer.status_code == status
    assert status == 202 or f"X-GitHub-{name}" in answer.text


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "application/jsonp", "", None]
)
def test_another_media_type_is_refused(endpoint: Endpoint, kind: str | None) -> None:
    """The answer names the content type to choose in the webhook's settings."""
    answer = endpoint.post(Content_Type=kind)
    assert answer.status_code == 415
    assert "application/json in the webhook's settings" in answer.text
    assert endpoint.counted == ["malformed"]


# ---------------------------------------------------------------------- lengths and connections


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 15"],
    ],
)
def test_a_length_is_needed(endpoint: Endpoint, lines: list[str]) -> None:
    """Without a plain Content-Length the answer is 411, and a chunked body is not read."""
    body = b"5\r\nhello\r\n0\r\n\r\n" if "chunked" in "".join(lines) else b""
    answer = endpoint.raw(*lines, "Connection: close", body=body)
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert endpoint.counted == ["malformed"]


def test_behind_a_chunked_body_no_request_can_hide(endpoint: Endpoint) -> None:
    """What a body holds is never taken for the next request."""
    hidden = request_of(method="GET /")
    body = f"{len(hidden):x}\r\n".encode() + hidden + b"\r\n0\r\n\r\n"
    answer = endpoint.raw("Transfer-Encoding: chunked", body=body)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize("length", ["-5", "+5", "1, 2", "x"])
def test_a_length_that_is_none_ends_the_connection(endpoint: Endpoint, length: str) -> None:
    """The connection is closed, since the start of the next request is unknown."""
    answer = endpoint.raw(f"Content-Length: {length}")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close" in answer
    assert endpoint.counted == []


@pytest.mark.parametrize(
    ("length", "fits"), [("0", True), ("16", True), ("17", False), ("9" * 5000, False)]
)
def test_a_length_of_any_number_of_digits_is_compared(length: str, fits: bool) -> None:
    """Python refuses to read thousands of digits as a number."""
    assert is_at_most(length, 16) is fits


def test_a_body_that_is_too_large_is_not_read(endpoint: Endpoint) -> None:
    """Its length alone is answered 413, before a byte of it has come."""
    head = [f"{name}: {value}" for name, value in headers_of(b"").items()]
    answer = endpoint.raw(*head, f"Content-Length: {BODY_LIMIT_BYTES + 1}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert endpoint.counted == ["too_large"]


def test_a_body_of_the_limit_is_read(endpoint: Endpoint) -> None:
    """The largest body that GitHub sends is taken."""
    body = b'{"a": "' + b"x" * (BODY_LIMIT_BYTES - 9) + b'"}'
    assert len(body) == BODY_LIMIT_BYTES
    assert endpoint.post(body).status_code == 202


@pytest.mark.parametrize(
    ("length", "goes_on"), [(DRAIN_LIMIT_BYTES, True), (DRAIN_LIMIT_BYTES + 1, False)]
)
def test_a_refused_body_does_not_disturb_the_next_request(
    endpoint: Endpoint, length: int, goes_on: bool
) -> None:
    """On a connection that is kept, a short unread body is skipped; behind a long one it ends."""
    body = b"x" * length
    with closing(endpoint.connect()) as connection:
        connection.sendall(request_of(f"Content-Length: {length}", method="POST /nothing"))
        if goes_on:
            connection.sendall(body)
        answers = connection.makefile("rb")
        assert answers.readline() == b"HTTP/1.1 404 Not Found\r\n"
        head = b"".join(iter(answers.readline, b"\r\n"))
        assert (b"Connection: close" in head) is not goes_on
        if goes_on:
            answers.read(len(b"nothing is served here\n"))
            connection.sendall(request_of("Connection: close", method="GET /nothing"))
            assert answers.readline() == b"HTTP/1.1 404 Not Found\r\n"


def test_deliveries_share_a_connection(endpoint: Endpoint) -> None:
    """Taken, repeated and refused ones follow each other on one that is kept alive."""
    with requests.Session() as session:
        for number, secret, status in [
            ("a", SECRET, 202), ("a", SECRET, 202), ("b", OTHER, 401), ("b", SECRET, 202),
        ]:  # fmt: skip
            headers = headers_of(BODY, number, X_Hub_Signature_256=signature(BODY, secret))
            answer = session.post(endpoint.url, data=BODY, headers=headers, timeout=SECONDS)
            assert answer.status_code == status
            assert "Connection" not in answer.headers
    assert endpoint.counted == ["accepted", "duplicate", "bad_signature", "accepted"]


def test_a_body_that_is_cut_off_is_refused(endpoint: Endpoint) -> None:
    """A sender that goes away in the middle leaves nothing behind."""
    head = [f"{name}: {value}" for name, value in headers_of(BODY).items()]
    with closing(endpoint.connect()) as connection:
        connection.sendall(request_of(*head, f"Content-Length: {len(BODY)}") + BODY[:10])
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")
    assert eventually(lambda: endpoint.counted, "counted") == ["malformed"]
    assert endpoint.receiver.got == []


def test_a_silent_sender_is_dropped(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that stops in the middle gets 408 and loses the connection."""
    monkeypatch.setitem(web_connection.SECONDS, web_connection.Phase.BODY, 0.2)
    head = [f"{name}: {value}" for name, value in headers_of(BODY).items()]
    with listening(WebhookOnly(endpoint.webhook)) as server:
        address = ("127.0.0.1", server.port)
        with closing(socket.create_connection(address, SECONDS)) as connection:
            connection.sendall(request_of(*head, f"Content-Length: {len(BODY)}") + BODY[:10])
            assert read_to_end(connection).startswith(b"HTTP/1.1 408 ")
    assert eventually(lambda: endpoint.counted, "counted") == ["malformed"]
    assert endpoint.receiver.got == []


# ---------------------------------------------------------------------- what else is there


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/ready", "/webhook", "/webhook/ci/"])
def test_its_own_listener_serves_nothing_else(endpoint: Endpoint, path: str) -> None:
    """What can be reached from outside is the webhook alone."""
    url = endpoint.url.replace(PATH, path)
    for method in ("GET", "POST"):
        assert requests.request(method, url, timeout=SECONDS).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_only_posts_are_taken(endpoint: Endpoint, method: str) -> None:
    """Any other method is 405, and the answer lists the allowed one."""
    answer = requests.request(method, endpoint.url, timeout=SECONDS)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert endpoint.counted == []


def test_fifty_at_once_are_all_answered(endpoint: Endpoint) -> None:
    """What fifty connections send in one moment is taken, each once."""
    together = threading.Barrier(50)

    def send(number: int) -> int:
        together.wait(SECONDS)
        return endpoint.post(number=f"d-{number}").status_code

    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(send, range(50)))
    assert codes == [202] * 50
    assert len({number for _, number, _ in endpoint.receiver.got}) == 50
