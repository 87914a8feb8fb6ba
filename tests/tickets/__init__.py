"""Tickets, against a stand-in GitHub."""
