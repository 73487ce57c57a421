"""The Grafana dashboards as code: `python -m deploy.dashboards` writes deploy/grafana/dashboards."""
