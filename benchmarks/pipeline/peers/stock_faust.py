"""Peer with an agent as in Faust's own guide, one record at a time, with the same engine.

    python -m benchmarks.pipeline.peers.stock_faust NUM_RECORDS

It decodes with Faust's JSON codec, stores each stream's state under one key in Redis (GET before, SET after), and sends
each event with `Topic.send`. It publishes the label and the probabilities, but no words, mood, shifts or dead letters.

Guarantee: at least once, while nothing fails. After a crash, uncommitted records send their events and step their
states again; a failed send is only logged, and its record is committed all the same; after a rebalance, the old owner
may still overwrite states of the new one. One bad record ends the agent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import mode.loop

mode.loop.use("uvloop")  # before the import of Faust, which takes the loop that it finds

import faust  # noqa: E402
from redis.asyncio import Redis  # noqa: E402

from model import InferenceEngine, Request, StreamState  # noqa: E402
from worker.settings import Settings, load_settings  # noqa: E402


def create_app(settings: Settings, num_records: int) -> Any:
    """The app. After `num_records` it sends SIGTERM to itself, and ends with all events sent and offsets committed."""
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.kafka}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
    )
    texts = app.topic(settings.topics[0], key_serializer="raw", value_serializer="json")
    events = app.topic(settings.events_topic, key_serializer="raw", value_serializer="json")
    engine = InferenceEngine.load(settings.checkpoint)
    engine.warm_up()
    redis: Any = Redis.from_url(settings.redis)

    async def read(stream: Any) -> None:
        num_read = 0
        async for record in stream:
            name = record["stream"]
            key = f"{settings.group}:{name}"
            stored = await redis.get(key)
            state = StreamState.from_bytes(stored, engine.config, engine.fingerprint) if stored else None
            (result,) = engine.score([Request(name, record["text"], True, state)])
            await redis.set(key, result.state.to_bytes(engine.fingerprint))
            event = {
                "record_id": record["id"],
                "stream": name,
                "label": result.label,
                "score": result.score,
                "probabilities": result.probabilities,
            }
            await events.send(key=name.encode(), value=event)
            num_read += 1
            if num_read == num_records:
                os.kill(os.getpid(), signal.SIGTERM)

    app.agent(texts)(read)
    return app


def main() -> None:
    """Run the app as `faust worker` does."""
    app = create_app(load_settings(), int(sys.argv[1]))
    worker = faust.Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
