"""Kafka: connections, topics, the consumer inside Faust, and the transactional producers."""
