"""`sentiment check` asks the schema registry, if there is one."""

from __future__ import annotations

import base64

import pytest

from tests.servers.fake_registry import FakeRegistry
from worker.errors import DependencyError
from worker.settings import load_settings
from worker.tools.checks import check_registry


def test_a_registry_that_answers_is_named_with_what_it_takes() -> None:
    with FakeRegistry() as registry:
        found = check_registry(load_settings(registry=registry.url))
    assert found.startswith(f"{registry.url} answers and takes AVRO, JSON, PROTOBUF")


def test_one_that_refuses_is_named_with_what_it_says() -> None:
    with FakeRegistry() as registry:
        registry.answers_before = [403]
        with pytest.raises(DependencyError, match=r"it refuses the kinds of its schemas \(403"):
            check_registry(load_settings(registry=registry.url))


def test_the_login_is_sent() -> None:
    with FakeRegistry() as registry:
        check_registry(load_settings(registry=registry.url, registry_username="alice", registry_password="a:b"))
    assert registry.logins == ["Basic " + base64.b64encode(b"alice:a:b").decode()]
