"""`python -m exporter` is `trunkwatch`."""

from exporter.cli import run

if __name__ == "__main__":
    run()
