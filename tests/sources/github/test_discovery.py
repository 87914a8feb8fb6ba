"""Repositories and branches of the source github that globs select, and those that leave."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from trunkwatch.domain.model import Trunk
from trunkwatch.shards import Shard
from trunkwatch.sources.github.discovery.selection import LIST_SECONDS
from trunkwatch.sources.github.source import Github

from tests.github.exporter import SimulatedExporter
from tests.github.fake import FakeGitHub
from tests.github.faults import Kind
from tests.github.repo import Repo
from tests.github.rights import CLASSIC_PUBLIC
from tests.github.workflows import Job
from tests.sources.github.stories import CI, HOUR, reading

GLOB = 'repos: ["acme/*"], token_env: STANDIN_TOKEN'


def add(fake: FakeGitHub, name: str, *branches: str, at: float | None = None) -> Repo:
    """Add a repository with a failing run on its default branch, and more branches."""
    repo = fake.repo(name)
    commit = repo.commit("first", at=at or fake.now - HOUR)
    repo.run(commit, CI, [Job("test", 0, 60, "failure")], at=fake.now - HOUR)
    for number, branch in enumerate(branches):
        repo.commit(branch, branch=branch, at=fake.now - HOUR + number, parents=[commit])
    return repo


@pytest.fixture
def fake() -> FakeGitHub:
    """Return an organization with three repositories, an archived one and a fork."""
    fake = FakeGitHub()
    for name in ("app", "old-one", "site", "frozen", "copy"):
        add(fake, f"acme/{name}")
    fake.repos["acme/frozen"].archived = True
    fake.repos["acme/copy"].fork = True
    add(fake, "other/app")
    return fake


@contextmanager
def read(fake: FakeGitHub, section: str, *, graphql: bool) -> Iterator[SimulatedExporter]:
    """Read the fake GitHub until nothing is left to read."""
    with reading(fake, section if graphql else f"{section}, graphql: false") as exporter:
        exporter.refresh_until_idle()
        yield exporter


def trunks(exporter: SimulatedExporter) -> set[str]:
    """Return the trunks that are shown, each as "repo branch"."""
    return {str(each.trunk) for each in exporter.engine.snapshot.trunks}


def an_hour_later(exporter: SimulatedExporter) -> None:
    """Refresh when all lists are due, and once more."""
    exporter.advance(LIST_SECONDS, every=LIST_SECONDS)
    exporter.advance(60)


def limitations(exporter: SimulatedExporter) -> dict[str, str]:
    """Return the texts of the source's limitations."""
    return dict(exporter.engine.snapshot.sources[0].limitations)


# ---------------------------------------------------------------------- which are read


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ('repos: ["acme/*"]', {"app", "old-one", "site"}),
        ('repos: ["ACME/?pp", acme/frozen]', {"app", "frozen"}),
        ('repos: ["acme/*"], exclude: ["*/old-*"]', {"app", "site"}),
        ('repos: ["acme/*"], archived: true, forks: true', {"app", "old-one", "site", "frozen",
                                                             "copy"}),
    ],
    ids=["all", "named", "excluded", "archived and forks"],
)  # fmt: skip
def test_globs_select(fake: FakeGitHub, section: str, expected: set[str], graphql: bool) -> None:
    """Globs select no archived repositories and no forks; a named repository is always read."""
    with read(fake, f"{section}, token_env: STANDIN_TOKEN", graphql=graphql) as exporter:
        assert trunks(exporter) == {f"acme/{name} main" for name in expected}
        assert exporter.refresh().ok


SHARDED = 'repos: ["acme/*", other/app], webhook_secret_file: /dev/null, token_env: STANDIN_TOKEN'


def test_shards_divide_what_is_named_and_what_globs_select(fake: FakeGitHub, graphql: bool) -> None:
    """A repository is requested by one shard, and its state stays with the other."""
    with read(fake, SHARDED, graphql=graphql) as exporter:
        repos = {str(each.trunk).split()[0] for each in exporter.engine.snapshot.trunks}
        whole = exporter.store.load().sources["gh"].state.entries
        for number in (1, 2):
            exporter.shard = Shard(number, 2)
            exporter.restart()
            exporter.server.log.clear()
            exporter.refresh_until_idle()
            own = {repo for repo in repos if exporter.shard.owns(repo)}
            assert own
            assert trunks(exporter) == {f"{repo} main" for repo in own}
            paths = " ".join(entry.path for entry in exporter.server.log)
            assert {repo for repo in repos if f"/repos/{repo}" in paths} <= own
            exporter.shard = None
            exporter.restart()
            assert trunks(exporter) == {f"{repo} main" for repo in repos}
            kept = exporter.store.load().sources["gh"].state.entries
            assert whole.keys() <= kept.keys()


def test_a_shard_ignores_deliveries_of_another(fake: FakeGitHub) -> None:
    """A delivery of a repository that it does not own concerns nothing, whatever selects it."""
    with reading(fake, SHARDED) as exporter:
        for name in ("acme/app", "acme/site", "other/app", "acme/new"):
            for number in (1, 2):
                exporter.shard = Shard(number, 2)
                exporter.restart()
                source = exporter.source
                assert isinstance(source, Github)
                watched = source._watched_trunk(
                    {"full_name": name, "default_branch": "main"}, "main"
                )
                assert (watched == Trunk(name, "main")) == exporter.shard.owns(name)


def test_branches_by_glob(fake: FakeGitHub, graphql: bool) -> None:
    """The newest branches of a glob are read beside the default branch, by the commits' dates."""
    for number in (1, 2, 10, 3):
        app = fake.repos["acme/app"]
        app.commit("cut", branch=f"release/{number}", at=fake.now - HOUR + number,
                   parents=list(app.commits.values())[:1])  # fmt: skip
    app.commit("other", branch="release/x/y", parents=list(app.commits.values())[:1])
    section = (
        'repos: [acme/site, {name: acme/app, branches: [HEAD, {name: "release/*", newest: 2}]}],'
        " branches: [main], token_env: STANDIN_TOKEN"
    )
    with read(fake, section, graphql=graphql) as exporter:
        expected = {"acme/site main", "acme/app main", "acme/app release/10", "acme/app release/3"}
        assert trunks(exporter) == expected
        app.commit("newer", branch="release/1")
        an_hour_later(exporter)
        assert trunks(exporter) == (expected - {"acme/app release/3"}) | {"acme/app release/1"}


# ---------------------------------------------------------------------- repositories come and leave


def test_a_repository_that_appears_is_read_within_the_hour(fake: FakeGitHub, graphql: bool) -> None:
    """The list is read once an hour, also over a restart, and not before the first scrape."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        add(fake, "acme/new")
        exporter.advance(HOUR / 2, every=HOUR / 2)
        before = exporter.server.sent()
        exporter.restart()
        assert "acme/app main" in trunks(exporter)
        exporter.refresh()
        asked = [e.path for e in exporter.server.log[before:]]
        assert not any(path.endswith("/repos") for path in asked)
        assert "acme/new main" not in trunks(exporter)
        exporter.advance(HOUR / 2, every=HOUR / 2)
        assert "acme/new main" in trunks(exporter)


def test_another_spelling_is_not_another_repository(fake: FakeGitHub, graphql: bool) -> None:
    """A repository whose name changes to upper case is not read twice."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        fake.rename(fake.repos["acme/site"], "acme/Site")
        an_hour_later(exporter)
        assert trunks(exporter) == {"acme/app main", "acme/old-one main", "acme/Site main"}


@pytest.mark.parametrize("how", ["deleted", "archived", "renamed", "private"])
def test_a_repository_that_vanishes_ends(
    fake: FakeGitHub, how: str, graphql: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its trunk ends as removed, with the reason in the log; a renamed one is read as new."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        site = fake.repos["acme/site"]
        if how == "deleted":
            del fake.repos["acme/site"]
        elif how == "archived":
            site.archived = True
        elif how == "renamed":
            fake.rename(site, "acme/web")
        else:
            site.private = True
            fake.rights = CLASSIC_PUBLIC
        an_hour_later(exporter)
        left = {"acme/app main", "acme/old-one main"}
        assert trunks(exporter) == left | ({"acme/web main"} if how == "renamed" else set())
        (record,) = [r for r in caplog.records if r.message == "trunk removed"]
        assert how in record.reason  # type: ignore[attr-defined]
        assert (record.repo, record.branch) == ("acme/site", "main")  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Kind.BAD_GATEWAY, Kind.TRUNCATED, Kind.RESET])
def test_a_list_that_fails_removes_nothing(fake: FakeGitHub, kind: Kind, graphql: bool) -> None:
    """A list that cannot be read as a whole is named; the repositories are read on."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        before = trunks(exporter)
        del fake.repos["acme/site"]
        fake.now += LIST_SECONDS
        for path in ("/graphql", "/repos$"):
            exporter.server.fail_next(kind, path, times=50)
        exporter.refresh()
        assert trunks(exporter) == before
        assert "acme cannot be listed" in limitations(exporter)["repositories"]


def test_a_list_that_is_suddenly_empty_removes_nothing(fake: FakeGitHub, graphql: bool) -> None:
    """A token that may read nothing any more does not end every outage."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        before = trunks(exporter)
        for repo in fake.repos.values():
            repo.private = True
        fake.rights = CLASSIC_PUBLIC
        fake.now += LIST_SECONDS + 60
        assert not exporter.refresh().ok
        assert trunks(exporter) == before


def test_a_configuration_that_selects_less_ends_the_rest(fake: FakeGitHub, graphql: bool) -> None:
    """What an earlier configuration selected, and this one excludes, ends as removed."""
    with read(fake, GLOB, graphql=graphql) as exporter:
        store = exporter.store
    section = GLOB + ', exclude: ["acme/old-*"]' + ("" if graphql else ", graphql: false")
    with reading(fake, section) as exporter:
        exporter.store = store
        exporter.restart()
        exporter.refresh()
        assert trunks(exporter) == {"acme/app main", "acme/site main"}
        assert not [key for key in exporter.engine.state("gh").entries if "old-one " in key]


# ---------------------------------------------------------------------- problems are named


@pytest.mark.parametrize("owner", ["acme", "nobody"])
def test_a_glob_without_match_is_named(fake: FakeGitHub, owner: str, graphql: bool) -> None:
    """A glob that selects nothing, or an owner that does not exist, is an error, or beside others
    a limitation.
    """
    glob = f'"{owner}/x*"'
    with reading(fake, f"repos: [{glob}], token_env: STANDIN_TOKEN") as exporter:
        refreshed = exporter.refresh()
        assert not refreshed.ok
        assert owner in (refreshed.state.problem or "")
    with read(fake, f"repos: [{glob}, acme/app], token_env: STANDIN_TOKEN",
              graphql=graphql) as exporter:  # fmt: skip
        assert trunks(exporter) == {"acme/app main"}
        assert owner in limitations(exporter)["repositories"]


def test_a_branch_that_a_selected_repository_lacks_is_named(
    fake: FakeGitHub, graphql: bool
) -> None:
    """It is no error of a repository that only a glob selects, nor is one without a commit."""
    fake.repos["acme/site"].rename_branch("main", "master")
    fake.repo("acme/empty")
    with read(fake, f"{GLOB}, branches: [main]", graphql=graphql) as exporter:
        assert trunks(exporter) == {"acme/app main", "acme/old-one main"}
        assert "acme/site main" in limitations(exporter)["branches"]
        assert exporter.refresh().ok


def test_a_repository_without_a_trunk_is_shown(fake: FakeGitHub, graphql: bool) -> None:
    """A named repository whose default branch cannot be read is shown as one that fails."""
    section = "repos: [acme/app, acme/gone], token_env: STANDIN_TOKEN"
    with read(fake, section, graphql=graphql) as exporter:
        states = {str(s.trunk): s for s in exporter.engine.snapshot.trunks}
        assert states.keys() == {"acme/app main", "acme/gone HEAD"}
        (source,) = states["acme/gone HEAD"].sources
        assert not source.up


def test_a_renamed_repository_is_read_on_and_named(fake: FakeGitHub, graphql: bool) -> None:
    """A repository that is named in full keeps its label, and is not read twice by a glob; the
    limitation has the new name.
    """
    section = 'repos: [acme/app, "acme/c*", "acme/s*"], branches: [main], token_env: STANDIN_TOKEN'
    with read(fake, section, graphql=graphql) as exporter:
        assert "renamed" not in limitations(exporter)
        app = fake.repos["acme/app"]
        fake.rename(app, "acme/core")
        app.run(app.commit("second"), CI, [Job("test", 0, 60, "failure")], at=fake.now)
        exporter.advance(300)
        an_hour_later(exporter)
        assert trunks(exporter) == {"acme/app main", "acme/site main"}
        assert "acme/app is now acme/core" in limitations(exporter)["renamed"]
        (state,) = [s for s in exporter.engine.snapshot.trunks if s.trunk.repo == "acme/app"]
        assert state.jobs[0].consecutive_failures == 2


def test_a_configured_branch_that_is_deleted_ends(
    fake: FakeGitHub, graphql: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its trunk ends as removed and is named; it comes back with the branch."""
    app = fake.repos["acme/app"]
    first = next(iter(app.commits.values()))
    app.commit("cut", branch="stable", parents=[first])
    section = "repos: [acme/app], branches: [main, stable], token_env: STANDIN_TOKEN"
    with read(fake, section, graphql=graphql) as exporter:
        assert trunks(exporter) == {"acme/app main", "acme/app stable"}
        app.delete_branch("stable")
        for refreshed in exporter.advance(120):
            assert refreshed.ok
        assert trunks(exporter) == {"acme/app main"}
        assert "acme/app stable" in limitations(exporter)["branches"]
        assert "the branch was deleted" in [getattr(r, "reason", "") for r in caplog.records]
        app.commit("again", branch="stable", parents=[first])
        an_hour_later(exporter)
        assert trunks(exporter) == {"acme/app main", "acme/app stable"}
        assert "branches" not in limitations(exporter)


def test_a_default_branch_that_is_renamed_is_followed_at_once(
    fake: FakeGitHub, graphql: bool
) -> None:
    """Its old name is not found any more, so that the repository is asked for the new one."""
    with read(fake, "repos: [acme/app], token_env: STANDIN_TOKEN", graphql=graphql) as exporter:
        fake.repos["acme/app"].rename_branch("main", "trunk")
        (refreshed,) = exporter.advance(60)
        assert refreshed.ok
        assert trunks(exporter) == {"acme/app trunk"}
        assert limitations(exporter).keys() <= {"graphql"}


def test_a_branch_of_a_glob_that_is_deleted_ends_at_once(fake: FakeGitHub, graphql: bool) -> None:
    """The next one of the newest takes its place."""
    app = fake.repos["acme/app"]
    for number in (1, 2, 3):
        app.commit("cut", branch=f"release/{number}", at=fake.now - HOUR + number,
                   parents=list(app.commits.values())[:1])  # fmt: skip
    section = (
        'repos: [acme/app], branches: [{name: "release/*", newest: 2}], token_env: STANDIN_TOKEN'
    )
    with read(fake, section, graphql=graphql) as exporter:
        assert trunks(exporter) == {"acme/app release/3", "acme/app release/2"}
        app.delete_branch("release/3")
        assert all(refreshed.ok for refreshed in exporter.advance(120))
        assert trunks(exporter) == {"acme/app release/2", "acme/app release/1"}


def test_a_webhook_of_a_repository_that_is_not_listed_counts(fake: FakeGitHub) -> None:
    """A new repository that a glob selects is read at the next refresh, and not in an hour."""
    with read(fake, GLOB, graphql=True) as exporter:
        add(fake, "acme/new")
        fake.now += 300
        payload = {"full_name": "acme/new", "default_branch": "main", "fork": False}
        watched = exporter.source._watched_trunk  # type: ignore[attr-defined]
        assert watched({**payload, "archived": True}, "main") is None
        assert watched({**payload, "full_name": "other/app"}, "main") is None
        assert watched(payload, "topic") is None
        assert watched(payload, "main") == Trunk("acme/new", "main")
        exporter.refresh()
        assert "acme/new main" in trunks(exporter)
