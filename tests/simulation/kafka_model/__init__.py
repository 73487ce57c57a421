"""Kafka at the level of its requests: the cluster answers at once; what takes time there takes virtual time."""
