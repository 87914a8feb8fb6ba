"""GitHub's issues: the API client, the operations on it, and the dry run."""
