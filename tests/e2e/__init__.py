"""The whole path with real parts: exporter, Prometheus, Alertmanager, an HTTP receiver."""
