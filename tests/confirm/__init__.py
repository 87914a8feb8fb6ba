"""Confirm, against a stand-in GitHub."""
