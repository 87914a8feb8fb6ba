"""Refreshes, back-off, the cap, reloads: what happens between a source and a snapshot."""
