"""Environment variables for flags: `TRUNKWATCH_CONFIG_FILE` for `--config.file`."""

import re
from collections.abc import Iterator

import click

PREFIX = "TRUNKWATCH_"


def variable_of(flag: str) -> str:
    """Return the variable of a flag."""
    return PREFIX + re.sub(r"[.-]", "_", flag.lstrip("-")).upper()


def add_variables(group: click.Group) -> None:
    """Let each flag of a group and its commands be set by its variable; the flag itself wins.

    A variable is the same for every command: a container has one program and one environment.
    """
    for option in flags(group):
        option.envvar = variable_of(max(option.opts, key=len))


def flags(group: click.Group) -> Iterator[click.Option]:
    """Yield the flags that have a variable: those with a value, or with an effect on the output."""
    for command in (group, *group.commands.values()):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not (parameter.hidden or parameter.is_eager):
                yield parameter
