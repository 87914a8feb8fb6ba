"""Where results come from: one file per CI. `SOURCES` lists every kind there is."""

from exporter.sources.port import Heard, Interest, Listener, Source, Tools
from exporter.sources.registry import SOURCES, build_source

__all__ = ["SOURCES", "Heard", "Interest", "Listener", "Source", "Tools", "build_source"]
