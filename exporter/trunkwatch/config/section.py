"""The bases of every mapping in the configuration file and in web configurations."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the file; an undefined key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class WebSection(BaseModel):
    """A mapping in a web configuration; an undefined key is an error."""

    model_config = Section.model_config
