"""`python -m trunkwatch` is `trunkwatch`."""

from trunkwatch.cli import run

if __name__ == "__main__":
    run()
