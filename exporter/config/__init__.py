"""The configuration: what it may say (`schema`), reading it (`load`), its meaning (`policy`)."""

from exporter.config.load import load_config, parse_config
from exporter.config.policy import policy_of
from exporter.config.schema import BuildbotSource, Config, RecordedSource, SourceConfig

__all__ = [
    "BuildbotSource",
    "Config",
    "RecordedSource",
    "SourceConfig",
    "load_config",
    "parse_config",
    "policy_of",
]
