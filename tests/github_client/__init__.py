"""Tests of the client of GitHub's API."""
