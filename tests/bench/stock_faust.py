"""Peer: an agent as Faust's own guide has it, one record at a time, with the same engine. `stock_faust NUM_RECORDS`

It decodes with Faust's JSON codec, keeps each stream's state under one key in Redis (GET before, SET after), and sends
each event with `Topic.send`. It publishes the label and the probabilities; no words, mood, shifts or dead letters.

Guarantee: at least once, while nothing fails. A crash sends events and steps states again that were not committed; a
send that fails is only logged, and its record is committed all the same; after a rebalance the old owner may still
overwrite the states of the new one. One bad record ends the agent.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import mode.loop

mode.loop.use("uvloop")  # before Faust is imported: it takes the loop that it finds

import faust  # noqa: E402
from redis.asyncio import Redis  # noqa: E402

from model import InferenceEngine, Request, StreamState  # noqa: E402
from worker.settings import Settings, load_settings  # noqa: E402


def create_app(settings: Settings, num_records: int) -> Any:
    """The app; after `num_records` it ends the process as SIGTERM does, with all sent and committed."""
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
    """As `faust worker` runs it."""
    app = create_app(load_settings(), int(sys.argv[1]))
    worker = faust.Worker(app, loglevel="WARN", quiet=True, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
