"""Incremental evaluation of the policy: pure, like `trunkwatch.domain`, which it only calls.

`trunk_evaluator` keeps one trunk's state up to date and re-evaluates only the jobs that a change
affects. All data that it keeps is a cache: a fresh evaluation of the stored rows gives the same
state.
"""
