"""The addresses of pages: one meaning each, whatever trunks and jobs are called."""

from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunkwatch.addresses import (
    Place,
    base_address,
    job_path,
    other_readings,
    outage_path,
    read_path,
    trunk_path,
)
from trunkwatch.domain.model import JobKey, Trunk
from trunkwatch.errors import UsageError

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


def test_a_long_path_was_not_typed() -> None:
    """Each slash gives a reading as long as the path: a long one would fill the memory."""
    assert other_readings(f"/trunk/{'a/' * 400}main") != []
    assert other_readings(f"/trunk/{'a/' * 30_000}main") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://trunkwatch.example.com/", "https://trunkwatch.example.com"),
        ("http://localhost:10077", "http://localhost:10077"),
        ("http://[::1]:10077", "http://[::1]:10077"),
        ("https://a.example/path", None),
        ("https://u:p@a.example", None),
        ("ftp://a.example", None),
        ("a.example", None),
        ('http://a"b', None),
        ("", None),
    ],
)
def test_an_external_address_is_that_of_a_server(text: str, address: str | None) -> None:
    """It has no path, since links begin at the root of the server, and no password."""
    if address is not None:
        assert base_address("--web.external-url", text) == address
        return
    with pytest.raises(UsageError, match=r"^--web\.external-url: must be the address of a server"):
        base_address("--web.external-url", text)
