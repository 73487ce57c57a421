"""Who may see the page: anyone on this machine, or who has the token where the page listens beyond it."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

COOKIE: Final = "sentiment_page_token"
_REFUSAL: Final = b"This page needs its token: open it once as /?token=... with the value of page_token.\n"

Scope = dict[str, Any]


class TokenGate:
    """ASGI middleware: lets a request through that has the token as cookie, or as `?token=`, which sets the cookie."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass `scope` on, redirect to the same path without the token, or refuse."""
        if scope["type"] not in {"http", "websocket"} or self._is_equal(cookie_of(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif self._is_equal(parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]):
            await _answer(send, 303, b"", self._welcome(scope))
        else:
            await _answer(send, 401, _REFUSAL, [(b"content-type", b"text/plain; charset=utf-8")])

    def _is_equal(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _welcome(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        parts = [f"{COOKIE}={self._token.decode()}", "Path=/", "HttpOnly", "SameSite=Strict"]
        if scope["scheme"] == "https":
            parts.append("Secure")
        # One slash only: a path of two would name another host.
        path = b"/" + scope["path"].lstrip("/").encode("ascii", "ignore")
        return [(b"location", path), (b"set-cookie", "; ".join(parts).encode())]


def cookie_of(scope: Scope) -> str:
    """The token that a request's cookies have, or nothing."""
    header = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    try:
        found = SimpleCookie(header.decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _answer(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, (b"cache-control", b"no-store")]}
    )
    await send({"type": "http.response.body", "body": body})
