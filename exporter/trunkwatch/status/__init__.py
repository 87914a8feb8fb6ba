"""The state of trunks as the exporter serves it, for programs that act on it."""
