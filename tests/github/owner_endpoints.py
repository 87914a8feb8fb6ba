"""The endpoints that list an owner's repositories and a repository's branches."""

from collections.abc import Mapping
from urllib.parse import unquote

from tests.github.json_parts import dumps, node_id, with_members
from tests.github.limits import ANONYMOUS
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.responses import NOT_FOUND, Document, ListPage, Response


def owned(renderer: Renderer, owner: str, who: str) -> list[Repo]:
    """Return the repositories of an owner that a user may see."""
    fake = renderer.fake
    return [
        repo
        for repo in fake.repos.values()
        if repo.full_name.lower().startswith(f"{owner.lower()}/")
        and not fake.lacks(repo, "metadata")
        and not (repo.private and who == ANONYMOUS)
    ]


def repositories(
    renderer: Renderer, kind: str, owner: str, query: Mapping[str, str], who: str
) -> Response:
    """Answer with the repositories of an organization (`orgs`) or a person (`users`)."""
    found = owned(renderer, owner, who)
    is_person = owner in renderer.fake.people
    if not found or is_person != (kind == "users"):
        return NOT_FOUND
    found.sort(key=lambda repo: repo.full_name)
    page, per_page = int(query.get("page", 1)), int(query.get("per_page", 30))
    return ListPage(
        "MinimalRepository",
        None,
        [repo for repo in found if not (is_person and repo.private)],
        lambda repo: renderer.validator.check("MinimalRepository", dumps(renderer.full_repo(repo))),
        page,
        per_page,
    )


def matching_refs(renderer: Renderer, repo: Repo, prefix: str) -> Response:
    """Answer with the branches whose names begin with a text; this list has no pages."""
    heads = "refs/heads/"
    names = [name for name in sorted(repo.branches) if repo.head(name, renderer.now)]
    found = [name for name in names if f"{heads}{name}".startswith(f"refs/{prefix}")]

    def render(name: str) -> str:
        head = repo.head(name, renderer.now)
        assert head is not None
        base = f"{renderer.base(repo.full_name)}/git"
        document = {
            "ref": f"{heads}{name}",
            "node_id": node_id("REF", repo.id),
            "url": f"{base}/{heads}{name}",
            "object": {"type": "commit", "sha": head.sha, "url": f"{base}/commits/{head.sha}"},
        }
        return renderer.validator.check("GitRef", dumps(document))

    return ListPage("GitRef", None, found, render, 1, max(1, len(found)))


def branch(renderer: Renderer, repo: Repo, name: str) -> Response:
    """Answer with one branch."""
    name = unquote(name)
    head = repo.head(name, renderer.now)
    if head is None:
        return NOT_FOUND
    base = f"{renderer.base(repo.full_name)}/branches/{name}"
    document = {
        "name": name,
        "_links": {"self": base, "html": f"{renderer.parts.html}/{repo.full_name}/tree/{name}"},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{base}/protection",
    }
    text = with_members(document, commit=renderer.commit(repo, head))
    return Document(renderer.validator.check("BranchWithProtection", text))
