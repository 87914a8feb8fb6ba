"""Validates documents with the models that githubkit generates from GitHub's description."""

from functools import cache
from typing import Any

from githubkit_schemas.v2022_11_28 import models
from pydantic import TypeAdapter, ValidationError


class SchemaError(AssertionError):
    """A document that violates GitHub's OpenAPI description."""


@cache
def _adapter(kind: str) -> "TypeAdapter[Any]":
    return TypeAdapter(getattr(models, kind))


class Validator:
    """A validator of JSON texts; each text of a kind is validated once."""

    def __init__(self) -> None:
        self._valid: set[tuple[str, int]] = set()

    def check(self, kind: str, text: str) -> str:
        """Validate a JSON text and return it.

        Args:
            kind: the model's name in version 2022-11-28 of the API.
            text: the document.

        Raises:
            SchemaError: the text does not match the model.
        """
        key = (kind, hash(text))
        if key not in self._valid:
            try:
                _adapter(kind).validate_json(text, strict=True)
            except ValidationError as error:
                raise SchemaError(f"{kind}: {error}") from None
            self._valid.add(key)
        return text
