"""The JSON parts that documents share: times, users, repositories, apps."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tests.github.commits import ChangedFile, sha_of

Json = dict[str, Any]

USER_PARTS = (
    "followers",
    "following{/other_user}",
    "gists{/gist_id}",
    "starred{/owner}{/repo}",
    "subscriptions",
    "orgs",
    "repos",
    "events{/privacy}",
    "received_events",
)

REPO_PARTS = {
    "archive_url": "{archive_format}{/ref}",
    "assignees_url": "assignees{/user}",
    "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}",
    "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}",
    "commits_url": "commits{/sha}",
    "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}",
    "contributors_url": "contributors",
    "deployments_url": "deployments",
    "downloads_url": "downloads",
    "events_url": "events",
    "forks_url": "forks",
    "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}",
    "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}",
    "keys_url": "keys{/key_id}",
    "labels_url": "labels{/name}",
    "languages_url": "languages",
    "merges_url": "merges",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}",
    "stargazers_url": "stargazers",
    "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "tags_url": "tags",
    "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}


@lru_cache(maxsize=10_000)
def time_text(seconds: float | None) -> str | None:
    """Return a time in RFC 3339 with whole seconds, as most of GitHub's members have it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def step_time_text(seconds: float | None) -> str | None:
    """Return a time in the format of job steps: with milliseconds and an offset."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")


def dumps(document: object) -> str:
    """Return compact JSON, as GitHub sends it."""
    return json.dumps(document, separators=(",", ":"))


def with_members(document: Json, **parts: str) -> str:
    """Return a document as JSON with further members, which are JSON texts."""
    members = "".join(f',"{key}":{text}' for key, text in parts.items())
    return f"{dumps(document)[:-1]}{members}}}"


def node_id(kind: str, identity: int) -> str:
    """Return an opaque id."""
    return f"{kind}_kw{identity:012d}"


class JsonParts:
    """JSON parts that contain URLs.

    Attributes:
        api: base URL of the API, without a trailing slash.
        html: base URL of the web pages, without a trailing slash.
    """

    def __init__(self, api: str, html: str) -> None:
        """Args:
        api: base URL of the API.
        html: base URL of the web pages.
        """
        self.api = api
        self.html = html

    def user(self, login: str, kind: str = "User") -> Json:
        """Return a user or an organization."""
        base = f"{self.api}/users/{login}"
        number = 1000 + sum(login.encode())
        parts = {}
        for part in USER_PARTS:
            word = part.partition("{")[0]
            name = "organizations" if word == "orgs" else word
            parts[f"{name}_url"] = f"{base}/{part}"
        return {
            "login": login,
            "id": number,
            "node_id": node_id("U", number),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
            "gravatar_id": "",
            "url": base,
            "html_url": f"{self.html}/{login}",
            **parts,
            "type": kind,
            "site_admin": False,
        }

    def small_repo(self, full_name: str, identity: int, private: bool = False) -> Json:
        """Return a repository as other documents embed it."""
        owner, _, name = full_name.partition("/")
        base = f"{self.api}/repos/{full_name}"
        return {
            "id": identity,
            "node_id": node_id("R", identity),
            "name": name,
            "full_name": full_name,
            "private": private,
            "owner": self.user(owner, "Organization"),
            "html_url": f"{self.html}/{full_name}",
            "description": None,
            "fork": False,
            "url": base,
            **{key: f"{base}/{part}" for key, part in REPO_PARTS.items()},
        }

    def full_repo(
        self, full_name: str, identity: int, branch: str, private: bool, pushed: float
    ) -> Json:
        """Return a repository's own document."""
        page = f"{self.html}/{full_name}"
        words = ("issues", "projects", "wiki", "pages", "discussions")
        counted = ("forks", "stargazers", "watchers", "open_issues", "subscribers", "network")
        counts = (*(f"{word}_count" for word in counted), "size", *counted[::2], "open_issues")
        return {
            **self.small_repo(full_name, identity, private),
            "git_url": f"git://{page.partition('://')[2]}.git",
            "ssh_url": f"git@{self.html.partition('://')[2]}:{full_name}.git",
            "clone_url": f"{page}.git",
            "svn_url": page,
            "mirror_url": None,
            "homepage": None,
            "language": "Python",
            "license": None,
            **dict.fromkeys(counts, 0),
            **{f"has_{word}": word == "issues" for word in words},
            "allow_forking": True,
            "is_template": False,
            "web_commit_signoff_required": False,
            "topics": [],
            "archived": False,
            "disabled": False,
            "visibility": "private" if private else "public",
            "default_branch": branch,
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": time_text(pushed),
            "pushed_at": time_text(pushed),
        }

    def changed_file(self, full_name: str, sha: str, file: ChangedFile) -> Json:
        """Return a file that a commit or a comparison changes; each change is one line."""
        added = int(file.status in ("added", "modified"))
        removed = int(file.status in ("removed", "modified"))
        page = f"{self.html}/{full_name}"
        document: Json = {
            "sha": sha_of(sha, file.name),
            "filename": file.name,
            "status": file.status,
            "additions": added,
            "deletions": removed,
            "changes": added + removed,
            "blob_url": f"{page}/blob/{sha}/{file.name}",
            "raw_url": f"{page}/raw/{sha}/{file.name}",
            "contents_url": f"{self.api}/repos/{full_name}/contents/{file.name}?ref={sha}",
            "patch": "@@ -1 +1 @@",
        }
        if file.previous is not None:
            document["previous_filename"] = file.previous
        return document

    def app(self, slug: str) -> Json:
        """Return an app."""
        number = 15368 if slug == "github-actions" else 20000 + sum(slug.encode())
        name = "GitHub Actions" if slug == "github-actions" else slug.replace("-", " ").title()
        return {
            "id": number,
            "slug": slug,
            "node_id": node_id("A", number),
            "owner": self.user("github" if slug == "github-actions" else slug, "Organization"),
            "name": name,
            "description": f"Reports of {name}",
            "external_url": f"https://{slug}.example",
            "html_url": f"{self.html}/apps/{slug}",
            "created_at": "2018-07-30T09:30:17Z",
            "updated_at": "2024-04-10T20:33:16Z",
            "permissions": {"checks": "write", "metadata": "read"},
            "events": ["check_run"],
        }
