"""Checks every document against the models that githubkit generates from GitHub's description."""

from functools import cache
from typing import Any

from githubkit_schemas.v2022_11_28 import models
from pydantic import TypeAdapter, ValidationError


class SchemaError(AssertionError):
    """The stand-in was about to send what GitHub's OpenAPI description does not allow."""


@cache
def _adapter(kind: str) -> "TypeAdapter[Any]":
    return TypeAdapter(getattr(models, kind))


class Validator:
    """Validates each text once: the same text of the same kind is valid for good."""

    def __init__(self) -> None:
        self._valid: set[tuple[str, int]] = set()

    def check(self, kind: str, text: str) -> str:
        """Return a JSON text that is as GitHub describes `kind`.

        Args:
            kind: the model's name in version 2022-11-28.
            text: the document.

        Raises:
            NotAsDescribedError: it is not.
        """
        key = (kind, hash(text))
        if key not in self._valid:
            try:
                _adapter(kind).validate_json(text, strict=True)
            except ValidationError as error:
                raise SchemaError(f"{kind}: {error}") from None
            self._valid.add(key)
        return text
