"""A configuration proposed for what a repository has: `shards`, `survey`, `plan` and its `text`."""

from trunkwatch.config.proposal.plan import Plan, plan_of
from trunkwatch.config.proposal.survey import Survey, survey_of
from trunkwatch.config.proposal.text import BrokenNow, Evaluated, Read, text_of

__all__ = ["BrokenNow", "Evaluated", "Plan", "Read", "Survey", "plan_of", "survey_of", "text_of"]
