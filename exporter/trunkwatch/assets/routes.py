"""Alertmanager's routes and receivers for teams, from the example team of the committed file."""

import json
import re
from collections.abc import Sequence
from urllib.parse import quote

EXAMPLE_TEAM = "broken-inductor"
"""The team whose block and receivers are repeated for every other team."""

_BLOCK = re.compile(rf"(?m)^    - receiver: {EXAMPLE_TEAM}-\w+\n(?:      .*\n)+")
_RECEIVER = re.compile(rf"(?m)^  - name: {EXAMPLE_TEAM}-\w+\n(?:    .*\n)+")
_PLAIN = re.compile(r"[A-Za-z][\w-]*")


def with_teams(text: str, teams: Sequence[str]) -> str:
    """Return Alertmanager's configuration with routes and receivers of these teams.

    A team's receivers are `<team>-page` (P0 and P1), `<team>-ticket` (P2) and `<team>-low` (P3).
    The team of the example is left out unless it is one of them.

    Args:
        text: deploy/alertmanager/alertmanager.yml.
        teams: names of teams, each once.
    """
    (block,) = _BLOCK.findall(text)
    receivers = "\n".join(_RECEIVER.findall(text))
    routes = "".join(_of_team(block, team) for team in teams)
    more = "\n".join(_of_team(receivers, team) for team in teams)
    return text.replace(block, routes).replace(receivers, more)


def _of_team(text: str, team: str) -> str:
    """Return a part of the file with another team; each place has its own quoting."""
    matcher = f"team={json.dumps(team, ensure_ascii=False)}".replace("'", "''")
    text = text.replace(f"'team=\"{EXAMPLE_TEAM}\"'", f"'{matcher}'")
    text = re.sub(rf"/{EXAMPLE_TEAM}-", lambda _: f"/{quote(team, safe='')}-", text)
    return re.sub(
        rf"((?:receiver|name): ){EXAMPLE_TEAM}(-\w+)",
        lambda found: found[1] + scalar(team + found[2]),
        text,
    )


def for_one_team(text: str, team: str) -> str:
    """Return deploy/alertmanager/one-team.yml for another team than `core`."""
    pattern = json.dumps(f"{re.escape(team)}|trunk", ensure_ascii=False).replace("'", "''")
    text = text.replace("""'team=~"core|trunk"'""", f"'team=~{pattern}'")
    text = text.replace("/core-ci", f"/{quote(team, safe='')}-ci")
    return re.sub(
        r"((?:receiver|name): )core-ci", lambda found: found[1] + scalar(f"{team}-ci"), text
    )


def scalar(text: str) -> str:
    """Return a text as a YAML scalar, quoted where that is necessary."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
