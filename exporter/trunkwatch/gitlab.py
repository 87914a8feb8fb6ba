"""The facts of GitLab's REST API that the source and the tickets share.

https://docs.gitlab.com/api/rest/
"""

from json import JSONDecodeError, loads
from urllib.parse import quote

from trunkwatch.rest.http import Answer, ApiRules


class GitlabRules(ApiRules):
    """How GitLab's API is read; its rate limits are those of a minute.

    https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
    """

    vendor = "GitLab"

    def __init__(self, advice: str) -> None:
        """Args:
        advice: what an operator can do about a path that is missing or forbidden.
        """
        self.advice = advice

    def message(self, answer: Answer) -> str:
        """Return GitLab's own error message, for the log."""
        try:
            document = loads(answer.content)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            return ""
        keys = ("message", "error", "error_description")
        texts = [document.get(key) for key in keys] if isinstance(document, dict) else []
        return "; ".join(str(text) for text in texts if text)


def project_path(name: str | int) -> str:
    """Return the path of a project's document, given its path or its id."""
    return f"/projects/{quote(str(name), safe='')}"
