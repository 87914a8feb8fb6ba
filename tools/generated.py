"""The generated part of a document, between two comments."""

END = "<!-- generated: end -->"


def with_generated(text: str, maker: str, part: str) -> str:
    """Return a document with its generated part replaced.

    Args:
        text: the document.
        maker: the file or folder that the part is made from.
        part: the new part, in Markdown.
    """
    begin = f"<!-- generated from {maker} by `make docs`: begin -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n\n{part}\n\n{END}{after}"
