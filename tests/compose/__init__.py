"""docker-compose.yml on a Docker engine: scaled, killed, put up again, and judged by the oracle."""
