"""The deployment files: compose, Dockerfile, Prometheus, Alertmanager and Grafana."""
