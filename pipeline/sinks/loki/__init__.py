"""The sink to Grafana Loki's push API."""
