"""The table of hand-checked vectors that is the letter of the policy, and its readers."""

from tests.vectors.cases import Case, Name
from tests.vectors.notation import NOW, Expected, Vector
from tests.vectors.table import load_cases, load_names, load_vectors

__all__ = [
    "NOW",
    "Case",
    "Expected",
    "Name",
    "Vector",
    "load_cases",
    "load_names",
    "load_vectors",
]
