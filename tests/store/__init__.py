"""The contract of every store, and what only a file can do wrong."""
