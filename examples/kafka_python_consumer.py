"""Prints sentiment events with kafka-python: kafka_python_consumer.py BOOTSTRAP [TOPIC]."""

import json
import sys

from kafka import KafkaConsumer

bootstrap, topic = [*sys.argv[1:], "sentiment.events"][:2]
consumer = KafkaConsumer(
    topic,
    bootstrap_servers=bootstrap,
    group_id=f"{topic}-reader",
    auto_offset_reset="earliest",
    isolation_level="read_committed",  # the default also shows what was aborted
)
for record in consumer:
    event = json.loads(record.value)
    print(event["stream"], event["label"], event["score"], flush=True)
