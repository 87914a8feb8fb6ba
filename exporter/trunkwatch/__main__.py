"""`python -m trunkwatch` is `trunkwatch`."""

import sys
from typing import NoReturn

from trunkwatch.process import ignore_reloads


def run() -> NoReturn:
    """Run the command line."""
    if "serve" in sys.argv:
        ignore_reloads()  # Before the imports, which take most of the start.
    from trunkwatch.cli import run as run_command

    run_command()


if __name__ == "__main__":
    run()
