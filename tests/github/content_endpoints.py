"""The endpoints that return workflow files and compare commits."""

import base64
import hashlib
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

from tests.github.commits import CommitNode, net_changes, reachable
from tests.github.json_parts import Json, dumps, with_members
from tests.github.render import Renderer
from tests.github.repo import Repo
from tests.github.repo_request import PAGING, RepoRequest
from tests.github.responses import NOT_FOUND, Document, ErrorResponse, ListPage, Response

FOLDER = ".github/workflows"
COMPARED_COMMITS_LIMIT = 250
"""The most commits of a comparison without paging; GitHub's own limit."""

BASE64_LINE_CHARACTERS = 60


class ContentEndpoints:
    """The endpoints of workflow files and of comparisons."""

    def __init__(self, renderer: Renderer) -> None:
        """Args:
        renderer: renders the documents.
        """
        self._renderer = renderer

    @property
    def _now(self) -> float:
        return self._renderer.now

    # ------------------------------------------------------------------ workflow files

    def workflow_files(self, request: RepoRequest) -> Response:
        """Answer with the files of the folder, which is not paged."""
        ref = self._ref(request)
        if isinstance(ref, ErrorResponse):
            return ref
        repo = request.repo
        texts = repo.workflow_files()
        if not texts:
            return NOT_FOUND

        def render(path: str) -> str:
            entry = dumps(self._entry(repo, path, texts[path], ref))
            return self._renderer.validator.check("ContentDirectoryItems", entry)

        return ListPage("ContentDirectoryItems", None, list(texts), render, 1, len(texts))

    def workflow_file(self, request: RepoRequest, name: str) -> Response:
        """Answer with a file of the folder and its content."""
        ref = self._ref(request)
        if isinstance(ref, ErrorResponse):
            return ref
        path = f"{FOLDER}/{unquote(name)}"
        text = request.repo.workflow_files().get(path)
        if text is None:
            return NOT_FOUND
        document = {
            **self._entry(request.repo, path, text, ref),
            "encoding": "base64",
            "content": _base64_lines(text),
        }
        return Document(self._renderer.validator.check("ContentFile", dumps(document)))

    def _ref(self, request: RepoRequest) -> str | ErrorResponse:
        request.allow_keys("ref")
        ref = request.query.get("ref")
        if ref is None:
            return request.repo.default_branch
        if request.repo.find(ref, self._now) is None:
            return ErrorResponse(HTTPStatus.NOT_FOUND, f"No commit found for the ref {ref}")
        return ref

    def _entry(self, repo: Repo, path: str, text: str, ref: str) -> Json:
        """Return a file as an entry of its folder."""
        content = text.encode()
        blob = hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False)
        base = self._renderer.base(repo.full_name)
        url = f"{base}/contents/{path}?ref={ref}"
        page = f"{self._renderer.parts.html}/{repo.full_name}/blob/{ref}/{path}"
        git = f"{base}/git/blobs/{blob.hexdigest()}"
        return {
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": blob.hexdigest(),
            "size": len(content),
            "url": url,
            "html_url": page,
            "git_url": git,
            "download_url": None,
            "type": "file",
            "_links": {"self": url, "git": git, "html": page},
        }

    # ------------------------------------------------------------------ comparisons

    def comparison(self, request: RepoRequest, refs: str) -> Response:
        """Answer with what `HEAD` has that `BASE` lacks, where `refs` is `BASE...HEAD`."""
        request.allow_keys()
        base, head = (
            request.repo.find(unquote(ref), self._now) for ref in refs.partition("...")[::2]
        )
        if base is None or head is None:
            return NOT_FOUND
        compared = _compare(base, head)
        if compared is None:
            return ErrorResponse(HTTPStatus.NOT_FOUND, f"No common ancestor between {refs}.")
        text = self._comparison(request, refs, compared)
        return Document(self._renderer.validator.check("CommitComparison", text))

    def _comparison(self, request: RepoRequest, refs: str, compared: "_Compared") -> str:
        repo, (page, per_page) = request.repo, request.page
        listed = compared.ahead[-COMPARED_COMMITS_LIMIT:]
        if request.query.keys() & PAGING:
            listed = compared.ahead[(page - 1) * per_page : page * per_page]
        base, head = compared.base.sha, compared.head.sha
        html = f"{self._renderer.parts.html}/{repo.full_name}/compare"
        document: Json = {
            "url": f"{self._renderer.base(repo.full_name)}/compare/{refs}",
            "html_url": f"{html}/{refs}",
            "permalink_url": f"{html}/{base[:12]}...{head[:12]}",
            "diff_url": f"{html}/{refs}.diff",
            "patch_url": f"{html}/{refs}.patch",
            "status": _STATUSES[bool(compared.ahead), bool(compared.behind)],
            "ahead_by": len(compared.ahead),
            "behind_by": compared.behind,
            "total_commits": len(compared.ahead),
        }
        if page == 1:
            files = (file for node in compared.ahead for file in repo.files.get(node.sha, ()))
            document["files"] = self._renderer.changed_files(repo, head, net_changes(files))
        return with_members(
            document,
            base_commit=self._renderer.commit(repo, compared.base),
            merge_base_commit=self._renderer.commit(repo, compared.merge_base),
            commits=f"[{','.join(self._renderer.commit(repo, node) for node in listed)}]",
        )


class _Compared(NamedTuple):
    """Two compared commits.

    Attributes:
        base: the first commit.
        head: the second commit.
        merge_base: their newest common ancestor.
        ahead: the commits that only `head` has, oldest first.
        behind: the number of commits that only `base` has.
    """

    base: CommitNode
    head: CommitNode
    merge_base: CommitNode
    ahead: list[CommitNode]
    behind: int


def _compare(base: CommitNode, head: CommitNode) -> _Compared | None:
    """Compare two commits; return None if they have no common ancestor."""
    of_base, of_head = ({node.sha: node for node in reachable(each)} for each in (base, head))
    common = next((node for node in of_head.values() if node.sha in of_base), None)
    if common is None:
        return None
    ahead = [node for node in reversed(of_head.values()) if node.sha not in of_base]
    return _Compared(base, head, common, ahead, len(of_base.keys() - of_head.keys()))


_STATUSES = {
    (False, False): "identical",
    (True, False): "ahead",
    (False, True): "behind",
    (True, True): "diverged",
}
"""The status of a comparison by whether the head is ahead and whether it is behind."""


def _base64_lines(text: str) -> str:
    """Return Base64 in lines, as GitHub sends it."""
    line = base64.b64encode(text.encode()).decode()
    starts = range(0, len(line), BASE64_LINE_CHARACTERS)
    return "".join(f"{line[start : start + BASE64_LINE_CHARACTERS]}\n" for start in starts)
