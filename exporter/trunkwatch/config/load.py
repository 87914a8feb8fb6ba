"""Reading of the configuration file; all problems are reported at once."""

from pathlib import Path

from pydantic import BaseModel

from trunkwatch.config.consistency import contradictions
from trunkwatch.config.documents import key_of, parse_document
from trunkwatch.config.schema import Config
from trunkwatch.config.section import Section
from trunkwatch.errors import ConfigError
from trunkwatch.textfiles import read_text


def load_config(path: str) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: the file is missing, not YAML or invalid; lists every problem.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise ConfigError(path, ["no such file; --config.file names the configuration"]) from None
    except OSError as error:
        raise ConfigError(path, [f"cannot be read ({error})"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f"is not UTF-8 ({error.reason})"]) from None
    return parse_config(text, path)


def parse_config(text: str, path: str) -> Config:
    """Check the text of a configuration; relative paths in it start from the folder of `path`.

    Raises:
        ConfigError: as for `load_config`.
    """
    folder = str(Path(path).parent)
    return parse_document(text, path, folder, Config, contradictions, {})


def all_keys() -> list[str]:
    """Return every key of every section, by its name in the file."""
    sections: list[type[BaseModel]] = [Section]
    keys: set[str] = set()
    while sections:
        section = sections.pop()
        sections.extend(section.__subclasses__())
        keys |= {key_of(name, field) for name, field in section.model_fields.items()}
    return sorted(keys)
