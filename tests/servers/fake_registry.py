"""A server with the few requests of a schema registry that the worker sends, in memory."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.certificates import Certificates

References = list[tuple[str, str]]


class FakeRegistry:
    """Holds schemas by id. `answers_before`: status codes that it answers first; `asked`: the paths of the requests;
    `logins`: their Authorization headers; `is_silent`: it takes requests and does not answer.

    certificates: those of its server, for TLS under the name localhost.
    """

    def __init__(self, certificates: Certificates | None = None) -> None:
        self.is_silent = False
        self.closed = threading.Event()
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.answers_before: list[int] = []
        self.is_compatible = True
        self._schemas: dict[int, dict[str, Any]] = {}
        self._subjects: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server, certificates.server_key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> FakeRegistry:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        schema_id: int,
        kind: str,
        text: str,
        *,
        subject: str = "",
        references: References | None = None,
    ) -> None:
        """Register `text`; references: name and subject of what it imports."""
        named = [{"name": name, "subject": other, "version": 1} for name, other in references or ()]
        self._schemas[schema_id] = {"schema": text, "schemaType": kind, "references": named}
        self._subjects[subject or f"subject-{schema_id}"] = schema_id

    def kind_of(self, schema_id: int) -> str:
        """The kind of a schema."""
        return str(self._schemas[schema_id]["schemaType"])

    def text_of(self, schema_id: int) -> str:
        """The text of a schema."""
        return str(self._schemas[schema_id]["schema"])

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:  # noqa: PLR0911 - one a path
        """Status and content of the answer."""
        self.asked.append(path)
        if self.answers_before:
            return self.answers_before.pop(0), "not JSON of a registry"
        match [part for part in path.partition("?")[0].split("/") if part]:
            case ["schemas", "types"]:
                return 200, ["JSON", "PROTOBUF", "AVRO"]
            case ["schemas", "ids", number]:
                found = self._schemas.get(int(number))
                return (200, found) if found else (404, {"error_code": 40403, "message": "Schema not found"})
            case ["subjects", subject, "versions", _]:
                schema_id = self._subjects[subject]
                return 200, {"subject": subject, "version": 1, "id": schema_id} | self._schemas[schema_id]
            case ["compatibility", "subjects", subject, "versions", _]:
                if subject not in self._subjects:
                    return 404, {"error_code": 40401, "message": "Subject not found"}
                return 200, {"is_compatible": self.is_compatible}
            case ["subjects", subject, "versions"] if method == "POST":
                schema_id = len(self._schemas) + 1
                self.add(schema_id, body.get("schemaType", "AVRO"), body["schema"], subject=subject)
                return 200, {"id": schema_id}
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}


def _handler(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if registry.is_silent:
                registry.closed.wait()
                return
            registry.logins.append(self.headers.get("Authorization"))
            status, content = registry.answer(self.command, self.path, body)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _respond  # noqa: N815 - named by http.server

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
