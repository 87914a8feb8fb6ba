"""The tests of what every source must stand, where a source has to be tested by its own server.

tests/sources/test_contract.py and test_same_table.py test the rest for all sources: a red job that
is run again and passes before anything is read, a failure of each request, and what nothing new
costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NONE = "none: "
"""How the reason begins why a scenario cannot come up."""


@dataclass(frozen=True, slots=True)
class Scenarios:
    """The test of each scenario for one kind of source, as `file::test`, or why there is none.

    Attributes:
        changed_in_place: a row that was read gets another result.
        moving_pages: rows come, go or move while a list is read.
        sentinel_times: a time that stands for none, such as 1970.
        bad_row: one row cannot be read.
        gone: the repository, the table or the file does not exist any more.
        no_rights: the token, login or user may not read.
        future_cursor: the stored position is ahead of the server.
    """

    changed_in_place: str
    moving_pages: str
    sentinel_times: str
    bad_row: str
    gone: str
    no_rights: str
    future_cursor: str


SCENARIOS: Mapping[str, Scenarios] = MappingProxyType(
    {
        "buildbot": Scenarios(
            changed_in_place="test_buildbot.py::test_a_running_build_is_pending_until_it_has_ended",
            moving_pages="test_buildbot.py::test_a_build_that_ends_while_we_ask_is_not_missed",
            sentinel_times="test_buildbot.py::test_a_time_that_cannot_be_is_unknown",
            bad_row="test_buildbot.py::test_a_row_without_ids_is_counted_and_stops_nothing",
            gone="test_buildbot.py::test_a_branch_that_is_gone_fails_its_own_trunk",
            no_rights="test_buildbot.py::test_a_login_without_rights_is_an_error_that_ends",
            future_cursor="test_buildbot.py::test_a_clock_that_was_ahead_hides_no_later_build",
        ),
        "clickhouse": Scenarios(
            changed_in_place="test_clickhouse.py::test_versions_of_one_row_are_one_result",
            moving_pages="test_clickhouse.py::test_pages_lose_nothing_while_rows_move",
            sentinel_times="test_clickhouse.py::test_a_row_has_all_that_a_person_needs",
            bad_row="test_clickhouse.py::test_a_bad_row_is_dropped_and_counted_once",
            gone="test_clickhouse.py::test_an_exception_is_an_error_that_names_what_to_do",
            no_rights="test_clickhouse.py::test_a_refused_password_is_not_sent_again_at_once",
            future_cursor="test_clickhouse.py::test_a_cursor_of_the_future_is_not_believed",
        ),
        "gitea": Scenarios(
            changed_in_place="test_gitea.py::test_a_task_changes_in_place",
            moving_pages="test_gitea.py::test_rows_move_while_they_are_paged",
            sentinel_times="test_gitea.py::test_each_status_has_one_evidence",
            bad_row="test_gitea.py::"
            "test_a_row_that_cannot_be_read_may_be_the_pass_between_two_failures",
            gone="test_gitea.py::test_a_repository_that_is_gone_keeps_its_results",
            no_rights="test_gitea.py::test_a_token_without_rights_is_named",
            future_cursor="test_gitea.py::test_a_server_that_begins_anew_is_read_anew",
        ),
        "github": Scenarios(
            changed_in_place="github/test_jobs.py::"
            "test_a_rerun_that_is_seen_as_it_happens_says_the_same",
            moving_pages="github/test_chain.py::"
            "test_commits_that_shift_while_they_are_read_are_read_once",
            sentinel_times="github/test_timed_out_jobs.py::test_a_job_of_unknown_duration_is_asked",
            bad_row="github/test_unreadable_rows.py::"
            "test_a_job_that_cannot_be_read_may_be_the_pass_between_two_failures",
            gone="github/test_limits.py::"
            "test_one_repository_that_is_missing_does_not_stop_the_other",
            no_rights="github/test_limits.py::test_a_token_that_is_revoked_keeps_what_was_known",
            future_cursor="github/test_clocks.py::"
            "test_a_wrong_clock_is_forgotten_within_two_refreshes",
        ),
        "gitlab": Scenarios(
            changed_in_place="test_gitlab.py::test_jobs_end_while_their_pipeline_does_not_change",
            moving_pages="test_gitlab.py::test_pipelines_that_move_while_they_are_listed_are_read",
            sentinel_times="test_gitlab.py::test_a_row_has_all_that_gitlab_reports",
            bad_row="test_gitlab.py::test_a_job_that_cannot_be_read_costs_no_other",
            gone="test_gitlab.py::test_one_project_that_is_gone_costs_no_other",
            no_rights="test_gitlab.py::test_a_token_without_rights_is_named",
            future_cursor="test_gitlab.py::test_a_cursor_of_the_future_loses_nothing",
        ),
        "recorded": Scenarios(
            changed_in_place="recorded/test_changes.py::test_a_line_that_was_edited_in_place_is_read",
            moving_pages="recorded/test_changes.py::test_reading_in_parts_ends_as_reading_at_once",
            sentinel_times="recorded/test_format.py::test_a_time_that_stands_for_none_is_not_shown",
            bad_row="recorded/test_format.py::test_a_malformed_line_is_left_out_and_no_other",
            gone="recorded/test_changes.py::"
            "test_a_file_that_vanished_is_an_error_and_what_was_known_stays",
            no_rights="recorded/test_format.py::test_a_file_that_may_not_be_read_is_an_error",
            future_cursor="recorded/test_changes.py::"
            "test_a_file_that_is_begun_anew_takes_nothing_away",
        ),
    }
)
