"""Tickets: one issue per (repo, branch, group), kept in step with its broken jobs."""
