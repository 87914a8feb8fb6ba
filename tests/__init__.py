"""Trunkwatch's tests; their docstrings together read as its specification."""
