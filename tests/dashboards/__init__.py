"""The Grafana dashboards: their structure, their queries, and the results in a real Prometheus."""
