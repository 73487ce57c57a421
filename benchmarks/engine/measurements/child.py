"""One of several processes that read side by side.

    python -m benchmarks.engine.measurements.child CELLS VOCABULARY BATCH NUM_BATCHES

Says `ready` once it is warm; then for every line that it is sent it reads all batches and answers with the seconds, by
the clock and of its own processor time. Ends with its input.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.engine.contestants.contestant import Work, ours
from benchmarks.engine.contestants.work import random_tweets, random_weights
from model.config import ModelConfig
from model.inference.kernels.recurrence import CPU_PRECISIONS


def main() -> None:
    """Until the input ends."""
    hidden_size, vocabulary, batch, num_batches = map(int, sys.argv[1:])
    config = ModelConfig(num_words=vocabulary, num_buckets=1, embedding_size=hidden_size, hidden_size=hidden_size)
    texts = random_tweets(batch * num_batches, vocabulary)
    contestant, _ = ours(Work(config, random_weights(config), texts, batch), CPU_PRECISIONS[0])
    contestant.read()
    print("ready", flush=True)
    for _ in sys.stdin:
        started, cpu_started = time.perf_counter(), time.process_time()
        contestant.read()
        took = {"clock_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu_started}
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
