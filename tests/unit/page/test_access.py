"""Who is let in, and what the page says where it cannot start."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

import pytest

from worker.errors import DependencyError, ListenError, SettingsError
from worker.page.access import COOKIE, LocalGate, NoFrames, TokenGate
from worker.page.serve import serve_page
from worker.settings import load_settings

TOKEN = "0123456789abcdef"


def ask(kind: str = "http", path: str = "/", query: str = "", cookie: str | None = None) -> list[dict[str, Any]]:
    """What is sent for a request; [{"type": "inside"}] where it was let through."""
    sent: list[dict[str, Any]] = []

    async def app(*_: Any) -> None:
        sent.append({"type": "inside"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [] if cookie is None else [(b"cookie", f"other=1; {COOKIE}={cookie}".encode())]
    scope = {"type": kind, "path": path, "query_string": query.encode(), "headers": headers, "scheme": "http"}
    asyncio.run(TokenGate(app, TOKEN)(scope, None, send))
    return sent


@pytest.mark.parametrize("cookie", [None, "", "0123456789abcdee", TOKEN[:-1], TOKEN + "0", "\xe4"])
def test_without_the_token_nothing_is_shown(cookie: str | None) -> None:
    assert ask(cookie=cookie)[0]["status"] == 401
    assert ask("websocket", cookie=cookie) == [{"type": "websocket.close", "code": 1008}]


def test_the_token_is_given_once_and_the_cookie_lets_in_from_then_on() -> None:
    start = ask(path="//elsewhere", query=f"token={TOKEN}")[0]
    headers = dict(start["headers"])
    assert start["status"] == 303
    assert headers[b"location"] == b"/elsewhere"
    assert b"HttpOnly" in headers[b"set-cookie"] and b"SameSite=Strict" in headers[b"set-cookie"]
    for kind in ("http", "websocket"):
        assert ask(kind, cookie=TOKEN) == [{"type": "inside"}]
    assert ask("lifespan") == [{"type": "inside"}]
    assert ask(query="token=wrong")[0]["status"] == 401


def test_a_page_beyond_loopback_needs_a_token_of_some_length() -> None:
    with pytest.raises(SettingsError, match=r"page_host 0\.0\.0\.0 .* needs page_token"):
        load_settings(page_host="0.0.0.0")
    with pytest.raises(SettingsError, match="page_token needs 16 characters"):
        load_settings(page_token="short")
    for host in ("127.0.0.1", "::1", "localhost"):
        assert load_settings(page_host=host).page_token is None
    assert load_settings(page_host="0.0.0.0", page_token=TOKEN).page_host == "0.0.0.0"


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} .* is taken.*--page-port"):
            serve_page(load_settings(page_port=port))


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DependencyError, match=r"nicegui .* pip install '\.\[page\]'"):
        serve_page(load_settings())


def ask_local(kind: str = "http", **headers: str) -> list[dict[str, Any]]:
    """What is sent for a request to a page without a token, which listens on 127.0.0.1."""
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "path": "/", "query_string": b"", "headers": named, "scheme": "http"}
    asyncio.run(NoFrames(LocalGate(app, "127.0.0.1"))(scope, None, send))
    return sent


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.0.0.1"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_without_a_token_the_page_answers_to_this_machine_s_names(kind: str, host: str) -> None:
    assert ask_local(kind, host=host)[0]["status"] == 200
    assert ask_local(kind, host=host, origin=f"http://{host}")[0]["status"] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8080"},  # a name that was made to point here (DNS rebinding)
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "127.0.0.1:8080", "origin": "http://evil.example"},  # another site in the same browser
        {"host": "127.0.0.1:8080", "origin": "null"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9999"},
    ],
    ids=str,
)
def test_another_site_in_the_same_browser_reaches_no_page_without_a_token(headers: dict[str, str]) -> None:
    assert ask_local(**headers)[0]["status"] == 403
    assert ask_local("websocket", **headers) == [{"type": "websocket.close", "code": 1008}]


def test_no_other_site_shows_the_page_within_its_own() -> None:
    (start,) = ask_local(host="localhost")
    headers = dict(start["headers"])
    assert headers[b"x-frame-options"] == b"DENY"
    assert headers[b"content-security-policy"] == b"frame-ancestors 'none'"
