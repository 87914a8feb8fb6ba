"""Paths at which there is something, and no regular file."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

NOT_REGULAR = "is not a regular file"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


IRREGULAR: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "Is a directory"),
    "fifo": (os.mkfifo, NOT_REGULAR),
    "socket": (_socket, NOT_REGULAR),
    "device": (lambda path: path.symlink_to("/dev/zero"), NOT_REGULAR),
}
"""By name, what makes such a path, and the problem of it."""
