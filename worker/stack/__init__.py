"""Real servers on this machine: Kafka, Redis or Valkey, and Prometheus, as child processes on free loopback ports.

    with LocalStack() as stack:
        settings = load_settings(kafka=stack.kafka, redis=stack.redis)

The servers end with the process that started them, however that process ends (Linux only).
"""

from worker.stack.kafka import KafkaBroker
from worker.stack.local import LocalStack
from worker.stack.prometheus import PrometheusServer
from worker.stack.redis import RedisServer
from worker.stack.server import Server

__all__ = ["KafkaBroker", "LocalStack", "PrometheusServer", "RedisServer", "Server"]
