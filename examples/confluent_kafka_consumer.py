"""Prints sentiment events with confluent-kafka: confluent_kafka_consumer.py BOOTSTRAP [TOPIC]."""

import json
import sys

from confluent_kafka import Consumer

bootstrap, topic = [*sys.argv[1:], "sentiment.events"][:2]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": f"{topic}-reader",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",  # also librdkafka's default
    }
)
consumer.subscribe([topic])
try:
    while True:
        record = consumer.poll(1.0)
        if record is None:
            continue
        if record.error():
            sys.exit(str(record.error()))
        event = json.loads(record.value())
        print(event["stream"], event["label"], event["score"], flush=True)
finally:
    consumer.close()
