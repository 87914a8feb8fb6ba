"""The addresses of pages: one meaning each, whatever trunks and jobs are called."""

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.html.addresses import (
    Place,
    job_path,
    other_readings,
    outage_path,
    read_path,
    trunk_path,
)

ODD = ["", ".", "..", "job", "outage", "~", "~.", "a/b", "//", "%2F", "100%", "?x=1#y", "a b",
       "a+b", "\u202e", "grün-雪", "<script>", "job/outage", "\\", ";", "a" * 1000]  # fmt: skip
names = st.one_of(
    st.sampled_from(ODD), st.text(st.characters(codec="utf-8"), max_size=12),
    st.lists(st.sampled_from(["job", "outage", "..", ".", "~", "a", ""]), max_size=4).map("/".join),
)  # fmt: skip


@given(names, names, names, names, names)
def test_an_address_has_one_meaning(
    repo: str, branch: str, workflow: str, job_name: str, sha: str
) -> None:
    """Each page is found by its address, after a browser has made it absolute too."""
    trunk, key = Trunk(repo, branch), JobKey(repo, branch, workflow, job_name)
    for path, place in (
        (trunk_path(trunk), Place(trunk)),
        (job_path(key), Place(trunk, key)),
        (outage_path(key, sha), Place(trunk, key, sha)),
    ):
        assert path.isascii()
        assert not set(path) & set(' "<>?#\\')
        assert urljoin("http://h/", path) == f"http://h{path}"
        assert read_path(path) == place


@pytest.mark.parametrize(
    "path",
    ["/trunk/", "/trunk/a", "/trunk/job/a/b", "/trunk/a/b/job", "/trunk/a/b/job/c",
     "/trunk/a/b/job/c/d/e", "/trunk/a/b/outage/c/d", "/trunk/a/b/outage/c/d/e/f"],
)  # fmt: skip
def test_a_path_without_a_meaning(path: str) -> None:
    """A path that no page has is no page."""
    assert read_path(path) is None


def test_a_name_that_was_typed() -> None:
    """A branch with plain slashes may be meant by each way to split the path."""
    assert other_readings("/trunk/o/r/release/1.0") == [
        Trunk("o", "r/release/1.0"),
        Trunk("o/r", "release/1.0"),
        Trunk("o/r/release", "1.0"),
    ]
