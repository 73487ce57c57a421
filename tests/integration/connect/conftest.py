"""A secure broker for the tests of this folder, which takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.secure_kafka import SecureKafka, secure_kafka
from worker.kafka.topics import ensure_topics
from worker.settings import load_settings


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """With the topics of the default settings. Where no entry says who may do what, everybody may."""
    with secure_kafka(tmp_path_factory.mktemp("kafka"), **{"allow.everyone.if.no.acl.found": "true"}) as kafka:
        ensure_topics(load_settings(kafka=kafka.stack.kafka))
        yield kafka
