"""Kafka: connections, topics, the transport inside Faust, and the transactional producers."""
