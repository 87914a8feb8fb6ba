"""Builds of a Buildbot master that are made again, or made for a commit that has none.

A rebuild, as the button of a build's page does it, and a forced build
(https://docs.buildbot.net/latest/manual/configuration/schedulers.html) are new build requests: a
new attempt of a question is a newer request of the same builder for the same commit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from trunkwatch.config.acting import BUILDBOT_API_PATH
from trunkwatch.confirm.model import Target
from trunkwatch.confirm.runner import READ_SECONDS, Examined, NotRepeatable, refusals
from trunkwatch.domain.model import display_name
from trunkwatch.domain.names import any_full_match
from trunkwatch.errors import BadAnswerError, CredentialsError, NotFoundError, RequestError
from trunkwatch.patterns import Pattern
from trunkwatch.rest.client import READ_TRIES, Query, RestClient
from trunkwatch.rest.http import ApiRules, HttpContext
from trunkwatch.rest.json_text import int_or_none, list_or_empty, text_or_none
from trunkwatch.status.attempts import Attempt
from trunkwatch.urls import without_credentials

MAX_REQUESTS = 200
"""Build requests of one list; a builder with more of them unfinished is too busy to be asked."""

IDS = 100
"""Ids in the address of one request, which a server or a proxy limits to a few KiB."""

REASON = "trunkwatch confirm"
"""The reason of a forced build, which its page shows."""

SUCCESS = 0
"""A result code: https://docs.buildbot.net/latest/developer/results.html."""


class _BuildbotRules(ApiRules):
    """How Buildbot's API is read."""

    vendor = "Buildbot"
    message_keys = ("error",)
    advice = (
        "may everybody, or the user:password@ of confirm.api_url, do that? www.authz of the"
        " master, and a proxy before it, decide that"
    )


class _Request(NamedTuple):
    """A build request.

    Attributes:
        number: its id, ascending.
        builder: the id of its builder.
        build_set: the id of its build set, which has the commit.
        is_complete: whether it has ended.
    """

    number: int
    builder: int
    build_set: int
    is_complete: bool


class BuildbotRunner:
    """One master, for one thread."""

    def __init__(
        self,
        api_url: str,
        http: HttpContext,
        *,
        builders: Iterable[Pattern],
        never: Iterable[Pattern] = (),
        force_scheduler: str | None = None,
    ) -> None:
        """Args:
        api_url: address of the API; may have user:password@, as a Buildbot source has it.
        http: session, counter, clock and sleep.
        builders: those that deploy nothing.
        never: jobs, as `workflow / job`, that are never run again.
        force_scheduler: a scheduler that builds any commit; None to rebuild builds alone.
        """
        url = api_url.rstrip("/").removesuffix(BUILDBOT_API_PATH)
        self._has_login = without_credentials(url) != url
        self._reads = RestClient(
            url, http, rules=_BuildbotRules(), tries=READ_TRIES, redirects=False
        )
        # A request that changes something is sent once.
        self._writes = RestClient(
            url, http, rules=_BuildbotRules(), redirects=False, cookies=self._has_login
        )
        self._builders = tuple(builders)
        self._never = tuple(never)
        self._force_scheduler = force_scheduler

    def check(self) -> None:
        """Read one builder, and log in; see `Runner`."""
        self._list("/builders", ("limit", 1), ("field", "builderid"))
        if self._has_login:
            self._log_in()

    def _log_in(self) -> None:
        """Begin a session: `www.authz` knows the user of a session, not of a request.

        UserPasswordAuth, HTPasswdAuth and CustomAuth take basic authentication at this address
        (https://docs.buildbot.net/latest/manual/configuration/www.html). Any other answer means
        that a proxy checks the password.
        """
        try:
            self._writes.get("/auth/login")
        except (BadAnswerError, NotFoundError) as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                return
            raise CredentialsError(
                f"{error}; Buildbot refuses the user:password@ of confirm.api_url",
                status=error.status,
                detail=error.detail,
            ) from None

    # ------------------------------------------------------------------ before it is asked

    def examine(self, target: Target) -> Examined:
        """Look at a commit's builds before another one is made; see `Runner`."""
        if not any_full_match(self._builders, target.job_name):
            raise NotRepeatable(
                f"its builder {target.job_name} may deploy (confirm.builders)", is_final=True
            )
        if target.is_skipped:
            raise NotRepeatable("its steps were skipped by their own conditions", is_final=True)
        request = self._request(target) if target.run_id else None
        # Builds of a virtual builder have requests of another one.
        builder = self._builder_named(target.job_name) if request is None else request.builder
        newest = next(self._requests(builder, ("limit", 1)), None)
        if newest is None:
            raise NotRepeatable("its builder has no build requests", is_final=True)
        self._check_unrepeated(target, builder)
        build = None if request is None else self._build_of(target, request)
        triggered = self._check_triggered(target, builder, build)
        # Requests from now on are answers; see `is_repetition`.
        target = target._replace(run_id=newest.number)
        if self._force_scheduler is not None:
            self._forced_fields(self._force_scheduler, target)
            target = target._replace(job_id=None)
        else:
            target = target._replace(job_id=build)
            self._check_queue(builder)
        return Examined(target, 1 + triggered)

    def _builder_named(self, name: str) -> int:
        """Return the id of a builder by its name."""
        for row in self._list("/builders", ("name", name)):
            number = int_or_none(row.get("builderid"))
            if number is not None and row.get("name") == name:
                return number
        raise NotRepeatable("the master has no such builder", is_final=True)

    def _request(self, target: Target) -> _Request:
        for row in self._list("/buildrequests", ("buildrequestid", target.run_id)):
            found = _request(row)
            if found is not None and found.number == target.run_id:
                return found
        raise NotRepeatable("its build request was deleted", is_final=True)

    def _check_unrepeated(self, target: Target, builder: int) -> None:
        """Raise an error if a build of the commit is to come, or may not have been read yet."""
        recent = int(self._reads.now() - READ_SECONDS)
        unfinished = list(self._requests(builder, ("complete", "false"), ("limit", MAX_REQUESTS)))
        if len(unfinished) >= MAX_REQUESTS:
            raise NotRepeatable(f"its builder has {MAX_REQUESTS} requests that have not ended")
        if any(self._of_commit(unfinished, target.sha)):
            raise NotRepeatable("its build has not ended")
        ended = self._requests(builder, ("complete_at__ge", recent), ("limit", MAX_REQUESTS))
        newer = [each for each in ended if each.number > target.run_id]
        if any(map(self._has_build, self._of_commit(newer, target.sha))):
            raise NotRepeatable("it was built just now")

    def _build_of(self, target: Target, request: _Request) -> int:
        """Return the id of the newest build of a request, of the job and the commit."""
        self._check_stamps(request, target)
        query = (("order", "-buildid"), ("limit", 1))
        for row in self._list(f"/buildrequests/{request.number}/builds", *query):
            number, builder = int_or_none(row.get("buildid")), int_or_none(row.get("builderid"))
            if number is not None and builder is not None:
                if self._name(builder) != target.job_name:
                    raise NotRepeatable("the build is of another builder", is_final=True)
                return number
        raise NotRepeatable("its build was deleted", is_final=True)

    def _check_stamps(self, request: _Request, target: Target) -> None:
        """Raise an error if another build of a request could be of another commit."""
        stamps = self._stamps([request.build_set]).get(request.build_set, ())
        revisions = [text_or_none(each.get("revision")) for each in stamps]
        if any(each.get("patch") is not None for each in stamps):
            raise NotRepeatable("its build has a patch", is_final=True)
        if target.sha not in revisions or not all(revisions):
            raise NotRepeatable("its build was not requested by the commit's hash", is_final=True)

    def _check_triggered(self, target: Target, builder: int, build: int | None) -> int:
        """Return the number of builds that a build triggers.

        A cancelled build has triggered none: the newest success of the builder shows them.

        Raises:
            NotRepeatable: one of them is of a builder that may deploy.
        """
        query = (("results", SUCCESS), ("order", "-buildid"), ("limit", 1), ("field", "buildid"),
                 ("field", "results"))  # fmt: skip
        passed = [row.get("buildid") for row in self._list(f"/builders/{builder}/builds", *query)]
        numbers = set(map(int_or_none, (build, *passed)))
        counts = [0]
        for number in sorted(filter(None, numbers)):
            rows = self._list(f"/builds/{number}/triggered_builds", key="builds")
            counts.append(len(rows))
            for triggered in {int_or_none(row.get("builderid")) for row in rows}:
                self._check_triggered_name(self._name(triggered), target)
        return max(counts)

    def _check_triggered_name(self, name: str, target: Target) -> None:
        if not any_full_match(self._builders, name):
            raise NotRepeatable(
                f"it triggers {name}, which may deploy (confirm.builders)", is_final=True
            )
        if any_full_match(self._never, display_name(target.workflow, name)):
            raise NotRepeatable(f"it triggers {name} (confirm.never)", is_final=True)

    def _check_queue(self, builder: int) -> None:
        """Raise an error while requests of a builder wait.

        By default (`collapseRequests`) the master would merge them into the older commit's one.
        """
        waiting = (("complete", "false"), ("claimed", "false"), ("limit", 1))
        if any(self._requests(builder, *waiting)):
            raise NotRepeatable("requests of its builder wait, which could be merged with it")

    def _forced_fields(self, scheduler: str, target: Target) -> Mapping[str, str]:
        """Return the parameters of a force scheduler.

        Raises:
            NotRepeatable: it cannot build the commit.
        """
        try:
            path = f"{BUILDBOT_API_PATH}/forceschedulers/{scheduler}"
            rows = self._rows(self._reads.object("GET", path), "forceschedulers")
        except NotFoundError:
            rows = []
        row = next(iter(rows), None)
        if row is None or row.get("enabled") is False:
            raise NotRepeatable(
                f"the master has no scheduler {scheduler} (confirm.force_scheduler)"
            )
        if target.job_name not in list_or_empty(row.get("builder_names")):
            raise NotRepeatable(
                f"{scheduler} does not build it (confirm.force_scheduler)", is_final=True
            )
        names = set(_field_names(row.get("all_fields")))
        revisions = [name for name in names if name.rpartition("_")[2] == "revision"]
        if len(revisions) != 1:
            raise NotRepeatable(
                f"{scheduler} must have one codebase (confirm.force_scheduler)", is_final=True
            )
        prefix = revisions[0].removesuffix("revision")
        found = {revisions[0]: target.sha, f"{prefix}branch": target.branch, "reason": REASON}
        return {name: value for name, value in found.items() if name in names}

    # ------------------------------------------------------------------ ask, and afterwards

    def run(self, target: Target) -> None:
        """Make a build; see `Runner`."""
        if self._force_scheduler is not None:
            path, method = f"{BUILDBOT_API_PATH}/forceschedulers/{self._force_scheduler}", "force"
            parameters: Mapping[str, Any] = {
                **self._forced_fields(self._force_scheduler, target),
                "builderid": self._request(target).builder,
            }
        else:
            path, method, parameters = f"{BUILDBOT_API_PATH}/builds/{target.job_id}", "rebuild", {}
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        with refusals("Buildbot", target, _is_final):
            self._writes.post(path, call)

    def was_repeated(self, target: Target) -> bool:
        """Return whether there is a newer request for the commit; see `Runner`."""
        return any(self._newer(target))

    def was_left_out(self, target: Target) -> bool:
        """Return whether all newer requests ended without a build; see `Runner`."""
        newer = list(self._newer(target))
        if not newer or not all(each.is_complete for each in newer):
            return False
        return not any(map(self._has_build, newer))

    def is_repetition(self, target: Target, attempt: Attempt) -> bool:
        """Return whether it is of a newer request; see `Runner`."""
        return attempt.run_id is not None and attempt.run_id > target.run_id

    def _newer(self, target: Target) -> Iterator[_Request]:
        """Yield the requests for the commit of a target since it was examined."""
        builder = self._request(target).builder
        query = (("buildrequestid__gt", target.run_id), ("order", "buildrequestid"))
        yield from self._of_commit(list(self._requests(builder, *query)), target.sha)

    def _has_build(self, request: _Request) -> bool:
        """Return whether a request has a build; one that was cancelled or merged has none."""
        return bool(self._list(f"/buildrequests/{request.number}/builds", ("limit", 1)))

    # ------------------------------------------------------------------ lists

    def _requests(self, builder: int, *query: tuple[str, str | int]) -> Iterator[_Request]:
        """Yield build requests of a builder, by default the newest first."""
        order = () if any(name == "order" for name, _ in query) else (("order", "-buildrequestid"),)
        for row in self._list(f"/builders/{builder}/buildrequests", *query, *order):
            found = _request(row)
            if found is not None:
                yield found

    def _of_commit(self, requests: Sequence[_Request], sha: str) -> Iterator[_Request]:
        """Yield the requests of a commit."""
        stamps = self._stamps(each.build_set for each in requests)
        for each in requests:
            if any(stamp.get("revision") == sha for stamp in stamps.get(each.build_set, ())):
                yield each

    def _stamps(self, build_sets: Iterable[int]) -> Mapping[int, Sequence[Mapping[str, Any]]]:
        """Return the source stamps of build sets, by their ids."""
        found: dict[int, Sequence[Mapping[str, Any]]] = {}
        ordered = sorted(set(build_sets))
        for begin in range(0, len(ordered), IDS):
            some = ordered[begin : begin + IDS]
            for row in self._list("/buildsets", *(("bsid", each) for each in some)):
                number = int_or_none(row.get("bsid"))
                if number is not None:
                    stamps = list_or_empty(row.get("sourcestamps"))
                    found[number] = [each for each in stamps if isinstance(each, dict)]
        return found

    def _name(self, builder: int | None) -> str:
        for row in self._list("/builders", ("builderid", builder or 0)):
            name = text_or_none(row.get("name"))
            if name is not None and int_or_none(row.get("builderid")) == builder:
                return name
        raise NotRepeatable("the master does not list a builder", is_final=True)

    def _list(
        self, path: str, *query: tuple[str, str | int], key: str | None = None
    ) -> list[Mapping[str, Any]]:
        wanted: Query = query
        document = self._reads.object("GET", f"{BUILDBOT_API_PATH}{path}", wanted)
        return self._rows(document, key or path.rpartition("/")[2])

    def _rows(self, document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
        rows = document.get(key)
        if not isinstance(rows, list):
            raise BadAnswerError(
                f"{self._reads.address(BUILDBOT_API_PATH)}: no list of {key!r} in the answer; is it"
                " the address of a Buildbot master?"
            )
        return [row for row in rows if isinstance(row, dict)]


def _is_final(error: RequestError) -> bool:
    """Return whether Buildbot would refuse it again.

    A right may be given later, and a reconfigured master has other schedulers.
    """
    return error.status == HTTPStatus.BAD_REQUEST


def _request(row: Mapping[str, Any]) -> _Request | None:
    keys = ("buildrequestid", "builderid", "buildsetid")
    number, builder, build_set = (int_or_none(row.get(key)) for key in keys)
    if number is None or builder is None or build_set is None:
        return None
    return _Request(number, builder, build_set, row.get("complete") is True)


def _field_names(fields: object) -> Iterator[str]:
    """Yield the names of the parameters that a person may fill in, also of nested ones."""
    waiting = list(list_or_empty(fields))
    while waiting:
        field = waiting.pop()
        if not isinstance(field, dict):
            continue
        name = text_or_none(field.get("fullName"))
        if "fields" in field:
            waiting += list_or_empty(field.get("fields"))
        elif name is not None and field.get("type") != "fixed":
            yield name
