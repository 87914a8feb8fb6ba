"""Grafana dashboards: the generator `build.py` and the JSON it writes."""
