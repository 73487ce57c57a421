"""Tokens for the SASL mechanism OAUTHBEARER: from an OIDC endpoint, or signed for AWS MSK."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.abc import AbstractTokenProvider

from worker.settings import Settings

# A token is fetched again when so little of its life is left.
_MARGIN_S = 30.0
_MAX_ANSWER_BYTES = 1 << 20


class TokenError(OSError):
    """No token: the endpoint does not answer, or refuses. Clients take it for a connection that may be tried again."""


class Token(NamedTuple):
    """A token, and when it expires, in seconds of the monotonic clock."""

    text: str
    expires_s: float


class TokenSource(ABC):
    """Fetches tokens, and hands out each until shortly before it expires. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: Token | None = None

    def token(self) -> str:
        """A token that is valid for a while. Raises TokenError."""
        with self._lock:
            if self._token is None or self._token.expires_s - time.monotonic() < _MARGIN_S:
                self._token = self._fetch()
            return self._token.text

    @abstractmethod
    def _fetch(self) -> Token: ...


class OidcClient(NamedTuple):
    """Who asks which OIDC endpoint for tokens. ca_file: what verifies the endpoint; None for the system's CAs."""

    url: str
    client_id: str
    client_secret: str
    scope: str | None
    ca_file: Path | None
    timeout_s: float


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would send the secret along, to whatever host it is sent to."""

    def redirect_request(self, *_: Any) -> None:
        """Make the redirect an error."""


class ClientCredentials(TokenSource):
    """Tokens of an OIDC endpoint for a client id and its secret (RFC 6749, section 4.4)."""

    def __init__(self, client: OidcClient) -> None:
        super().__init__()
        self._client = client

    def _fetch(self) -> Token:
        client = self._client
        # The setting takes URLs of http and https alone.
        request = urllib.request.Request(client.url, self._form(), self._headers())  # noqa: S310
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=client.ca_file))
        try:
            with urllib.request.build_opener(tls, _NoRedirects).open(request, timeout=client.timeout_s) as response:
                answer = json.loads(response.read(_MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise TokenError(f"HTTP status {error.code} {error.reason}{_reason(error)}") from error
        except (OSError, ValueError) as error:
            raise TokenError(str(error)) from error
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise TokenError("the answer holds no access_token")
        return Token(answer["access_token"], time.monotonic() + _lifetime_s(answer))

    def _form(self) -> bytes:
        fields = {"grant_type": "client_credentials"}
        if self._client.scope:
            fields["scope"] = self._client.scope
        return urllib.parse.urlencode(fields).encode()

    def _headers(self) -> dict[str, str]:
        """Each part is form-encoded before they are joined (RFC 6749, section 2.3.1)."""
        parts = (self._client.client_id, self._client.client_secret)
        login = ":".join(map(urllib.parse.quote_plus, parts))
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}", "Accept": "application/json"}


class MskSignature(TokenSource):
    """Tokens for AWS MSK, signed with the credentials that AWS's own library finds."""

    def __init__(self, region: str) -> None:
        super().__init__()
        self._region = region

    def _fetch(self) -> Token:
        signer = import_module("aws_msk_iam_sasl_signer.MSKAuthTokenProvider")
        try:
            text, expires_ms = signer.generate_auth_token(self._region)
        except Exception as error:  # botocore's errors have no other base
            raise TokenError(f"AWS credentials: {error}") from error
        return Token(text, time.monotonic() + expires_ms / 1000 - time.time())


class AiokafkaTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """A source of tokens as aiokafka takes it."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def token(self) -> str:
        """See TokenSource."""
        return await asyncio.to_thread(self._source.token)


def token_source(settings: Settings) -> TokenSource:
    """The source of tokens that the settings name; all clients of the process share it, and so its tokens."""
    if settings.kafka_sasl_mechanism == "AWS_MSK_IAM":
        return _msk_source(settings.kafka_aws_region or "")
    secret = settings.kafka_oauth_client_secret
    return _oidc_source(
        OidcClient(
            settings.kafka_oauth_token_url or "",
            settings.kafka_oauth_client_id or "",
            secret.get_secret_value() if secret else "",
            settings.kafka_oauth_scope,
            settings.kafka_oauth_ca_file,
            settings.request_timeout_s,
        )
    )


_oidc_source = cache(ClientCredentials)
_msk_source = cache(MskSignature)


def kafka_python_tokens(source: TokenSource) -> Any:
    """A source of tokens as kafka-python takes it, which is imported where it is needed alone."""
    from kafka.net.sasl.oauth import AbstractTokenProvider as Base  # noqa: PLC0415

    return type("KafkaPythonTokens", (Base,), {"token": lambda _: source.token()})()


def _lifetime_s(answer: dict[str, Any]) -> float:
    lifetime_s = answer.get("expires_in")
    return float(lifetime_s) if isinstance(lifetime_s, int | float) else 2 * _MARGIN_S


def _reason(error: urllib.error.HTTPError) -> str:
    """What the endpoint says of a refusal (RFC 6749, section 5.2); '' where it says nothing that can be read."""
    try:
        answer = json.loads(error.read(_MAX_ANSWER_BYTES))
        words = (str(answer.get(name, "")) for name in ("error", "error_description"))
    except (OSError, ValueError, AttributeError):
        return ""
    return ": " + ", ".join(filter(None, words))
