"""Who is let in, and what the page says where it cannot start."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

import pytest

from worker.errors import DependencyError, ListenError, SettingsError
from worker.page.access import COOKIE, TokenGate
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
