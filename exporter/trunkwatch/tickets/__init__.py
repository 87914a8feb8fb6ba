"""Tickets: one GitHub issue per (repo, branch, group), kept true to what is broken."""
