"""What a source says in one refresh: a stream of facts that is taken whole or not at all."""

from dataclasses import dataclass

from exporter.domain.model import Observation, TrunkOrder


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the source will go on next time; opaque to everybody else.

    Attributes:
        text: whatever the source wants to read back; JSON by habit.
    """

    text: str


Fact = Observation | TrunkOrder | Cursor
