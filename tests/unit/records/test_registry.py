"""The schema registry's client: TLS with a CA of one's own, and waits that end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.fake_registry import FakeRegistry
from worker.errors import DependencyError
from worker.records.registry import Registry
from worker.settings import load_settings

MAX_S = 30  # a busy machine; the request timeout is 1 s


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "localhost")


def kinds(url: str, ca: Path | None = None, **flags: Any) -> list[str]:
    return Registry(load_settings(registry=url, registry_ca_file=ca, **{"request_timeout_s": 1} | flags)).kinds()


def failure(url: str, ca: Path | None = None, **flags: Any) -> str:
    with pytest.raises(DependencyError) as caught:
        kinds(url, ca, **flags)
    return str(caught.value)


def test_a_registry_with_a_certificate_of_ones_own_ca_is_asked_over_tls(files: Certificates) -> None:
    with FakeRegistry(files) as registry:
        assert "AVRO" in kinds(registry.url, files.ca)


def test_a_certificate_that_is_not_accepted_is_named_at_once_with_what_to_do(files: Certificates) -> None:
    with FakeRegistry(files) as registry:
        for ca in (files.stranger, None):
            began_s = time.monotonic()
            message = failure(registry.url, ca, request_timeout_s=600)
            assert time.monotonic() - began_s < MAX_S
            assert f"the schema registry at {registry.url}: its certificate is not accepted" in message
            assert "Name the CA that signed it with --registry-ca-file (SENTIMENT_REGISTRY_CA_FILE)" in message
        message = failure(registry.url.replace("localhost", "127.0.0.1"), files.ca)
        assert "Name it by --registry as its certificate does" in message


def test_https_to_a_port_without_tls_is_named() -> None:
    with FakeRegistry() as registry:
        message = failure(registry.url.replace("http:", "https:"))
    assert "it does not speak TLS on this port. Name its TLS port, or write http:// in place of https://" in message


def test_http_to_a_port_with_tls_ends_as_a_registry_that_does_not_answer(files: Certificates) -> None:
    with FakeRegistry(files) as registry:
        assert "it does not answer for the kinds of its schemas" in failure(registry.url.replace("https:", "http:"))


def test_a_registry_that_takes_requests_and_never_answers_is_not_waited_for() -> None:
    with FakeRegistry() as registry:
        registry.is_silent = True
        began_s = time.monotonic()
        assert "it does not answer for the kinds of its schemas (ReadTimeout" in failure(registry.url)
        assert time.monotonic() - began_s < MAX_S
