"""Incremental evaluation of the policy in `trunkwatch.domain`; pure like it.

`trunk_evaluator` keeps one trunk's state up to date and re-evaluates only the jobs that a change
affects. All data that it keeps between updates is a cache: evaluating the stored rows from scratch
gives the same state.
"""
