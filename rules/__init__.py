"""Prometheus rules, written by `build`."""
