"""Servers for the tests of this folder, which take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.connect.redis_kinds import Servers, redis_of_every_kind
from tests.servers.secure_kafka import SecureKafka, secure_kafka
from worker.kafka.topics import ensure_topics
from worker.settings import load_settings


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """With the topics of the default settings. Where no entry says who may do what, everybody may."""
    with secure_kafka(tmp_path_factory.mktemp("kafka"), **{"allow.everyone.if.no.acl.found": "true"}) as kafka:
        ensure_topics(load_settings(kafka=kafka.stack.kafka))
        yield kafka


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Redis of every kind. A test that sets users or limits up takes them back."""
    with redis_of_every_kind(tmp_path_factory.mktemp("redis")) as servers:
        yield servers
