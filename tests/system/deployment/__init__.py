"""What stands around the worker: compose, the chart, dashboards, traces, a rolling restart."""
