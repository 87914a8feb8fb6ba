"""The Grafana dashboards: their shape, their queries, and what a real Prometheus answers them."""
