"""Webhook deliveries of Gitea and Forgejo: verified, and turned into the trunk that has news.

A delivery only makes a refresh due. Its row could not be stored as it is: a job's row does not show
the attempts before it. https://docs.gitea.com/usage/webhooks
"""

from collections.abc import Mapping
from typing import Any

from trunkwatch.config.sources import GiteaSource
from trunkwatch.domain.model import Trunk
from trunkwatch.sources.deliveries import branch_of_ref, check_signed, payload_of, word_of

SIGNATURE, GITHUB_SIGNATURE = "X-Gitea-Signature", "X-Hub-Signature-256"
DELIVERY = "X-Gitea-Delivery"


def check_signature_header(headers: Mapping[str, str]) -> None:
    """Reject a delivery with neither signature.

    Raises:
        UnsignedDelivery: both headers are missing.
    """
    if not headers.get(GITHUB_SIGNATURE.lower()):
        check_signed(headers, SIGNATURE, "secret")


def signature_of(headers: Mapping[str, str]) -> str:
    """Return the signature of a delivery as GitHub writes it."""
    return headers.get(GITHUB_SIGNATURE.lower()) or f"sha256={headers.get(SIGNATURE.lower(), '')}"


def read_delivery(
    headers: Mapping[str, str], body: bytes, config: GiteaSource
) -> tuple[str, Trunk | None]:
    """Return the id of a delivery, and the trunk that has news, if one is watched.

    A body of another event, or of another shape, has no news.

    Raises:
        BadDelivery: the body is not a JSON object, or the delivery has no id.
    """
    payload = payload_of(body)
    key = word_of(headers, DELIVERY)
    try:
        repository = payload["repository"]
        branch = _branch_of(payload)
        return key, config.watched(repository["full_name"], branch, repository["default_branch"])
    except (KeyError, TypeError, AttributeError):
        return key, None


def _branch_of(payload: Mapping[str, Any]) -> str | None:
    """Return the branch that a push, run or job is of; None for the event of a tag."""
    row = payload.get("workflow_run") or payload.get("workflow_job")
    if row is not None:
        return str(row["head_branch"])
    return branch_of_ref(str(payload["ref"]))
