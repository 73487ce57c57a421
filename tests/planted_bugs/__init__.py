"""Bugs that the test suites must find: each is the worker's code with one thing left out or changed.

    flush_bugs        of the scripts that fence the states in Redis
    commit_bugs       of transactions, and of the offsets in them
    takeover_bugs     of where a partition begins, and what is done before
    registry          all of them, by name

The deterministic simulation finds all of them (tests/simulation/planted.py), the faults on real servers most
(tests/faults/catalogue.py). Each stays planted as long as its context manager is entered.
"""
