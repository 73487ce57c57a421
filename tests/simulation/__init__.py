"""Deterministic simulation: the worker's own code on a seeded event loop, with models of Kafka and of Redis.

    loop          virtual time, and processes that crash and pause between any two awaits
    network       delays, lost requests and lost answers between a process and a server
    kafka_model   the requests of worker.kafka, answered as Kafka 4.3 answers them
    redis_model   the worker's own Lua scripts over dicts
    worker        the worker's own code as a process, with models of Faust, its consumer and the engine
    world         workers, servers and an input, put together
    faults        what is done to them
    run           a seed from its start to the judgement
    oracle        what must hold once the faults are over
    planted       bugs that must be found (tests/planted_bugs)
    report        the figures of a run, as text and as docs/simulation.md
    conformance   the same requests to the model and to a real cluster

`python -m tests.simulation --first-seed 17 --seeds 1` repeats one seed.
"""
