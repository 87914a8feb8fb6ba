"""Writes files into a folder, all of them or none."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from trunkwatch.errors import UsageError


def write_folder(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Write files below a folder, which is created if necessary.

    Every file is complete before the first one gets its name, so that a full disk or a kill leaves
    no half-written file behind; if one cannot get its name, all is as it was.

    Args:
        folder: empty or missing, unless `force` is set.
        files: texts by path, with slashes.
        force: replace files that exist; others stay.

    Raises:
        UsageError: the folder is not empty, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder")
    try:
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise UsageError(
                f"{folder}: is not empty; --force replaces the files of the release in it"
            )
        with ExitStack() as undo:
            _make_folder(folder, undo)
            with tempfile.TemporaryDirectory(prefix=".trunkwatch-assets-", dir=folder) as staging:
                _write(folder, files, Path(staging), undo)
                undo.pop_all()
    except OSError as error:
        raise UsageError(
            f"{error.filename2 or error.filename or folder}: {error.strerror}"
        ) from None


def _write(folder: Path, files: Mapping[str, str], staging: Path, undo: ExitStack) -> None:
    with ExitStack() as restore:
        for number, text in enumerate(files.values()):
            (staging / f"new-{number}").write_text(text, encoding="utf-8")
        for number, name in enumerate(files):
            target, former = folder / name, staging / f"old-{number}"
            _make_folder(target.parent, undo)
            if target.is_file():
                target.rename(former)
                restore.callback(former.replace, target)
            (staging / f"new-{number}").rename(target)
            restore.callback(target.unlink)
        restore.pop_all()


def _make_folder(folder: Path, undo: ExitStack) -> None:
    """Make a folder and those above it."""
    if not folder.is_dir():
        _make_folder(folder.parent, undo)
        folder.mkdir()
        undo.callback(folder.rmdir)
