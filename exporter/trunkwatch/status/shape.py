"""The error of an exporter's JSON that has another shape."""

from trunkwatch.errors import ReadingError


def unlike_the_document(error: Exception) -> ReadingError:
    """Return the error of a JSON value that is not the documented one.

    Args:
        error: of the parser.
    """
    return ReadingError(
        f"the exporter's JSON is not the object of docs/policy.md ({error!r}); do both run the same"
        " version?"
    )
