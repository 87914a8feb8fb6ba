"""Alert the right team when a CI job has been broken for N commits in a row on trunk."""

__version__ = "0.1.0"
