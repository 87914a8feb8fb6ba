"""The issues: the clients of their APIs, the operations on them, and the dry run."""
