"""Files that commands write: whole, or not at all."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from trunkwatch.errors import UsageError

OUTPUT_MODE = 0o644
"""Mode of a written file; a temporary file is readable by its owner alone."""


def refuse_existing(path: str) -> None:
    """Refuse a path at which there is something.

    Raises:
        UsageError: there is.
    """
    if os.path.lexists(path):
        raise UsageError(f"--output {path}: exists already; --force replaces it")


def write_whole(path: Path, lines: Iterable[str], *, replace: bool = True) -> None:
    """Write a file atomically.

    Args:
        path: of the file.
        lines: its content.
        replace: whether it replaces a file that is there.

    Raises:
        UsageError: it cannot be written, or is there and may not be replaced.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.writelines(lines)
                file.flush()
                os.fchmod(file.fileno(), OUTPUT_MODE)
                os.fsync(file.fileno())
                if replace:
                    temporary.replace(path)
                else:
                    path.hardlink_to(temporary)  # fails where there is something
                    temporary.unlink()
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
    except FileExistsError:
        refuse_existing(str(path))
        raise
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from None
