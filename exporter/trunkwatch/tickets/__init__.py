"""Tickets: one GitHub issue per (repo, branch, group), kept in step with its broken jobs."""
