"""Where the files of the release are, in a clone and in an installed package."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def asset_path(*names: str) -> Path:
    """Return the path of a file or folder of the release, such as `rules` or `deploy/prometheus`.

    Args:
        names: its path from the root of the project.
    """
    root = FOLDER if names[0] == "rules" else FOLDER / "files"
    return root.joinpath(*names)
