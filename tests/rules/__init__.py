"""Prometheus' rules, their promtool tests and their runbooks."""
