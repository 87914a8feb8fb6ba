"""The parts of webhook deliveries that every CI server's have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trunkwatch.domain.model import Observation
from trunkwatch.engine.facts import Fact, SourceState
from trunkwatch.errors import BadDelivery, BadSignature, UnsignedDelivery
from trunkwatch.rest.credentials import has_signature, read_secret
from trunkwatch.rest.json_text import decode_json

WORD_LIMIT = 100
"""Characters of an event's name and of a delivery's id; those of GitHub and GitLab have 36."""

REF = "refs/heads/"
"""The begin of the ref of a branch."""


@dataclass(frozen=True, slots=True)
class RowsUpdate:
    """Observations that depend on no state.

    Attributes:
        rows: the observations.
        needs_refresh: whether the delivery reports more than its rows.
    """

    rows: tuple[Observation, ...] = ()
    needs_refresh: bool = False

    def facts(self, state: SourceState) -> Iterable[Fact]:
        """Return the observations."""
        del state
        return self.rows


def check_signed(headers: Mapping[str, str], name: str, secret: str) -> None:
    """Reject a delivery without signature or token before its body is read.

    Args:
        headers: by lower-case name.
        name: of the header with it, as errors show it.
        secret: the CI server's word for the secret of a webhook.

    Raises:
        UnsignedDelivery: the header is missing.
    """
    if not headers.get(name.lower()):
        raise UnsignedDelivery(
            f"{name} is missing; give the webhook the {secret} of the configuration"
        )


def verify_signature(signature: str, body: bytes, secret: bytes | None) -> None:
    """Verify `sha256=` and the HMAC of a whole body, in constant time.

    Args:
        signature: as it was sent; empty without one.
        body: as it was sent.
        secret: of the webhook; None where webhooks are off.

    Raises:
        BadSignature: it was made with another secret.
    """
    if not secret or not has_signature(body, secret, signature.encode("latin-1")):
        raise BadSignature(
            "the signature fits no secret: is the webhook's secret that of the configuration?"
        )


def secret_of(path: str | None) -> bytes | None:
    """Return the secret of a source's webhooks; None where they are off.

    Args:
        path: `webhook_secret_file` of the configuration.

    Raises:
        CredentialsError: the file cannot be read.
    """
    return None if path is None else read_secret(f"webhook_secret_file {path}", path)


def word_of(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a header, which is not empty.

    Args:
        headers: by lower-case name.
        name: of the header, as errors show it.

    Raises:
        BadDelivery: it is missing or too long.
    """
    value = headers.get(name.lower(), "")
    if not 0 < len(value) <= WORD_LIMIT:
        raise BadDelivery(f"{name} is missing or too long")
    return value


def branch_of_ref(ref: str) -> str | None:
    """Return the branch of a full ref; None for another ref, such as that of a tag."""
    return ref.removeprefix(REF) if ref.startswith(REF) else None


def payload_of(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of a body.

    Raises:
        BadDelivery: it is none.
    """
    try:
        document = decode_json(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise BadDelivery("the body is not a JSON object")
    return document
