"""The paths of Prometheus' and Alertmanager's programs, for tests."""

from pathlib import Path

from trunkwatch.demo.binaries import BinaryNotFoundError, find_binary

__all__ = ["BinaryNotFoundError", "binary_path", "find_binary"]


def binary_path(name: str) -> str:
    """Return a program's path as text, for argument lists."""
    path: Path = find_binary(name)
    return str(path)
