"""Follows a walk of CONTRIBUTING.md on a copy of the tree, block by block.

A step names one file, and a block after it is applied to that file:

- a `diff` block changes it: lines with `-` go, lines with `+` come, the others show the place;
- a `sh` block is run;
- any other block is the content of "a new file".
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.docs.markdown import PROJECT, between_blocks, blocks, read, repository_files, section

_PATH = re.compile(r"\]\(([\w./-]+)[^)]*\)|`([\w.-]+(?:/[\w.-]+)+)`")

TIMEOUT_SECONDS = 600


class Step(NamedTuple):
    """A block and the prose between it and the block before.

    Attributes:
        prose: the instruction that a person reads.
        language: the word after the fence.
        text: the content, without the indentation of the list.
    """

    prose: str
    language: str
    text: str

    @property
    def path(self) -> str:
        """The last file that the instruction names."""
        *_, last = _PATH.finditer(self.prose)
        return last[1] or last[2]


def steps_of(walk: str) -> Iterator[Step]:
    """Yield the blocks of the section of CONTRIBUTING.md with this heading."""
    text = section(read("CONTRIBUTING.md"), walk)
    for prose, block in zip(between_blocks(text), blocks(text), strict=False):
        yield Step(prose, *block)


class Copy:
    """A copy of the project's files, with the virtual environment of this one."""

    def __init__(self, folder: Path) -> None:
        """Copy every file that the next commit would contain.

        Args:
            folder: an empty folder.
        """
        self.folder = folder
        files = repository_files()
        for file in files:
            target = folder / file.relative_to(PROJECT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        for link in (PROJECT / "exporter").rglob("*"):
            if link.is_symlink():
                copied = folder / link.relative_to(PROJECT)
                copied.parent.mkdir(parents=True, exist_ok=True)
                copied.unlink(missing_ok=True)
                copied.symlink_to(link.readlink())
        # Compiled and type-checked once is enough.
        caches = {file.parent / "__pycache__" for file in files if file.suffix == ".py"}
        for cache in (PROJECT / ".mypy_cache", *caches):
            if cache.exists():
                shutil.copytree(cache, folder / cache.relative_to(PROJECT))
        for name in (".venv", ".prometheus", ".schema"):
            (folder / name).symlink_to(PROJECT / name)
        self.run("git init -q && git add .")

    def follow(self, step: Step) -> None:
        """Apply the block of a step."""
        if step.language == "sh":
            self.run(step.text)
            return
        file = self.folder / step.path
        if step.language == "diff":
            file.write_text(changed(file.read_text("utf-8"), step.text), "utf-8")
            return
        assert "new file" in step.prose, f"neither a diff nor a new file: {step.prose}"
        assert not file.exists(), f"{step.path} exists already"
        file.write_text(step.text, "utf-8")

    def run(self, commands: str) -> None:
        """Run the lines of a block in a shell, up to the first that fails."""
        tools = f"{self.folder}/.prometheus/usr/bin"
        done = subprocess.run(
            # An outdated stamp would make `make` install the copy into this environment.
            ["bash", "-ec", f"make() {{ command make -o .venv/test.stamp $@; }}\n{commands}"],
            cwd=self.folder,
            env={
                "PATH": f"{os.environ['PATH']}:{tools}",
                "PYTHONPATH": f"{self.folder}/exporter",
                "LC_ALL": "C.UTF-8",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"


def changed(text: str, diff: str) -> str:
    """Return a text with the hunks of a diff applied; `@@` stands between two of them."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
        after = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
        assert text.count(before) == 1, f"{text.count(before)} places look like this:\n{before}"
        text = text.replace(before, after)
    return text
