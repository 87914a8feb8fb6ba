"""Reads the facts of an alert from its annotation `description`."""

import re
from collections.abc import Mapping
from typing import Any

_FACT = re.compile(r"([A-Z][a-z ]+): (.*)")


def facts_of(alert: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of an alert by their names; `Suspects` has its list as further lines."""
    facts: dict[str, str] = {}
    for line in alert["annotations"]["description"].splitlines():
        fact = _FACT.fullmatch(line)
        if fact is not None:
            facts[fact[1]] = fact[2]
        else:
            facts["Suspects"] += f"\n{line}"
    return facts
