"""Who may see the page: anyone on this machine, or who has the token where the page listens beyond it.

A page without a token is guarded against other sites that the same browser shows. They can send requests to this
machine, by its address or by a name of theirs that they let point to it, and could press the page's buttons.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

COOKIE: Final = "sentiment_page_token"
_REFUSAL: Final = b"This page needs its token: open it once as /?token=... with the value of page_token.\n"

_STRANGE_HOST: Final = b"This page answers to the name or address of this machine alone. Other names need page_token.\n"
_NO_FRAMES: Final = (
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

Scope = dict[str, Any]


class NoFrames:
    """ASGI middleware: no other site shows the page within its own, or learns its address."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass `scope` on, and add the headers to what is answered."""

        async def send_with_headers(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message.get("headers", ()), *_NO_FRAMES]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LocalGate:
    """ASGI middleware for a page without a token: lets requests through that name this machine and come from no other
    site.
    """

    def __init__(self, app: Any, host: str) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass `scope` on, or refuse."""
        if scope["type"] not in {"http", "websocket"} or self._is_local(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, 403, _STRANGE_HOST, [(b"content-type", b"text/plain; charset=utf-8")])

    def _is_local(self, scope: Scope) -> bool:
        host, origin = (_header(scope, name) for name in (b"host", b"origin"))
        return self._names_us(host) and (not origin or origin.partition("://")[2] == host)

    def _names_us(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in {"localhost", self._host} or ip_address(name).is_loopback
        except ValueError:
            return False


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
    try:
        found = SimpleCookie(_header(scope, b"cookie")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _header(scope: Scope, name: bytes) -> str:
    return b"; ".join(value for one, value in scope["headers"] if one == name).decode("latin-1")


async def _answer(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, (b"cache-control", b"no-store")]}
    )
    await send({"type": "http.response.body", "body": body})
