"""Where results come from: one file per CI. `SOURCES` lists every kind there is."""

from exporter.sources.port import Source, Tools
from exporter.sources.registry import SOURCES, build_source

__all__ = ["SOURCES", "Source", "Tools", "build_source"]
