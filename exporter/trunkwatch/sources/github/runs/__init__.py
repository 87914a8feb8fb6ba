"""Workflow runs, read by ranges of their creation time."""
