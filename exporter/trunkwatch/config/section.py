"""The base of every mapping in the configuration file."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the file; an undefined key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)
