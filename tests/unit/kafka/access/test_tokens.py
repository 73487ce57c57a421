"""Tokens are fetched when they are due, shared, and their errors say what the endpoint says."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

from worker.kafka.access.security import faust_credentials, security_options
from worker.kafka.access.tokens import MskSignature, Token, TokenError, TokenSource, token_source
from worker.settings import load_settings
from worker.stack.server import free_port


class Counting(TokenSource):
    """Tokens that are numbers, with a lifetime."""

    def __init__(self, lifetime_s: float) -> None:
        super().__init__()
        self.num_fetched = 0
        self._lifetime_s = lifetime_s

    def _fetch(self) -> Token:
        self.num_fetched += 1
        return Token(str(self.num_fetched), time.monotonic() + self._lifetime_s)


@pytest.mark.parametrize(("lifetime_s", "tokens"), [(3600, ["1", "1"]), (20, ["1", "2"])])
def test_a_token_serves_until_shortly_before_it_expires(lifetime_s: float, tokens: list[str]) -> None:
    source = Counting(lifetime_s)
    assert [source.token(), source.token()] == tokens


def oidc(**more: Any) -> Any:
    return load_settings(
        kafka_security="SASL_PLAINTEXT",
        kafka_sasl_mechanism="OAUTHBEARER",
        kafka_oauth_client_id="me",
        kafka_oauth_client_secret="secret",
        **{"kafka_oauth_token_url": f"http://127.0.0.1:{free_port()}/token"} | more,
    )


def test_all_clients_share_one_source() -> None:
    settings = oidc()
    assert token_source(settings) is token_source(settings)
    assert token_source(settings) is not token_source(oidc())
    assert security_options(settings)["sasl_oauth_token_provider"]._source is token_source(settings)
    assert faust_credentials(settings).oauth_cb._source is token_source(settings)


def test_an_endpoint_that_is_away_is_an_error_of_the_connection() -> None:
    with pytest.raises(TokenError, match="refused"):
        token_source(oidc()).token()


def pretend_signer(monkeypatch: pytest.MonkeyPatch, generate_auth_token: Callable[[str], tuple[str, int]]) -> None:
    """The module of AWS's signer, which is not installed with the tests."""
    module: Any = ModuleType("aws_msk_iam_sasl_signer.MSKAuthTokenProvider")
    module.generate_auth_token = generate_auth_token
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", ModuleType("aws_msk_iam_sasl_signer"))
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_signature_for_aws_is_made_for_the_region_and_lasts_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def generate_auth_token(region: str) -> tuple[str, int]:
        asked.append(region)
        return "signed", int(time.time() * 1000) + 900_000

    pretend_signer(monkeypatch, generate_auth_token)
    source = MskSignature("eu-west-1")
    assert [source.token(), source.token()] == ["signed", "signed"]
    assert asked == ["eu-west-1"]


def test_credentials_that_aws_does_not_find_are_named(monkeypatch: pytest.MonkeyPatch) -> None:

    def generate_auth_token(_: str) -> tuple[str, int]:
        raise ValueError("Unable to locate credentials")

    pretend_signer(monkeypatch, generate_auth_token)
    with pytest.raises(TokenError, match="Unable to locate credentials"):
        MskSignature("eu-west-1").token()


def test_a_secret_is_not_sent_along_to_where_an_endpoint_redirects_to() -> None:
    asked: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_port}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            asked.append(self.path)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(TokenError, match="HTTP status 302"):
                token_source(oidc(kafka_oauth_token_url=f"http://127.0.0.1:{server.server_port}/token")).token()
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/token"]
