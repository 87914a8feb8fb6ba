"""Webhook deliveries of GitLab: verified, and turned into the trunk that has news.

A delivery only makes a refresh due. Its rows could not be stored as they are: the pipeline event
omits retried jobs, the job event the source of the pipeline, and neither has the attempt: GitLab
counts the retries when it sends the event, not when the job ended.
https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from trunkwatch.config.sources import GitlabSource
from trunkwatch.domain.model import Trunk
from trunkwatch.errors import BadSignature
from trunkwatch.sources.deliveries import REF, payload_of, word_of

TOKEN, KEY = "X-Gitlab-Token", "idempotency-key"


def verify_token(headers: Mapping[str, str], secret: bytes | None) -> None:
    """Compare the token of a delivery with the secret, in constant time.

    Args:
        headers: by lower-case name.
        secret: of the webhook; None where webhooks are off.

    Raises:
        BadSignature: it is another one.
    """
    token = headers.get(TOKEN.lower(), "").encode("latin-1")
    if not secret or not hmac.compare_digest(token, secret):
        raise BadSignature("the token is not the secret: is it that of the configuration?")


def read_delivery(
    headers: Mapping[str, str], body: bytes, config: GitlabSource
) -> tuple[str, Trunk | None]:
    """Return the id of a delivery, and the trunk that has news, if one is watched.

    A body that is unlike GitLab's has no news: GitLab switches a webhook off after four errors.

    Raises:
        BadDelivery: the body is not a JSON object.
    """
    payload = payload_of(body)
    # GitLab before 17.4 sends no key; a delivery that is repeated has the same body.
    key = word_of(headers, KEY) if headers.get(KEY) else hashlib.sha256(body).hexdigest()
    try:
        return key, _trunk_of(payload, config)
    except (KeyError, TypeError, AttributeError):
        return key, None


def _trunk_of(payload: Mapping[str, Any], config: GitlabSource) -> Trunk | None:
    kind, project = payload["object_kind"], payload["project"]
    attributes = payload["object_attributes"] if kind == "pipeline" else payload
    if kind not in ("build", "pipeline", "push") or attributes.get("tag") is True:
        return None
    path, branch = project["path_with_namespace"], attributes["ref"].removeprefix(REF)
    return config.watched(path, branch, project.get("default_branch", branch))
