"""The facts of GitLab's REST API that the source and the tickets share.

https://docs.gitlab.com/api/rest/
"""

from urllib.parse import quote

from trunkwatch.rest.http import ApiRules


class GitlabRules(ApiRules):
    """How GitLab's API is read; its rate limits are those of a minute.

    https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
    """

    vendor = "GitLab"
    message_keys = ("message", "error", "error_description")

    def __init__(self, advice: str) -> None:
        """Args:
        advice: what an operator can do about a path that is missing or forbidden.
        """
        self.advice = advice


def project_path(name: str | int) -> str:
    """Return the path of a project's document, given its path or its id."""
    return f"/projects/{quote(str(name), safe='')}"
