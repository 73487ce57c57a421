"""A receiver of spans by OTLP in a process of its own: OpenTelemetry's Collector where `otelcol` is, else a small one.

Both write the requests to a file, a line each, in OTLP's JSON form. `python -m tests.servers.otlp HTTP_PORT GRPC_PORT
FILE` runs the small one.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import socket
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

from worker.stack.server import HOST, Server, free_port

_IDS = ("traceId", "spanId", "parentSpanId")
_ANSWER_TIMEOUT_S = 5.0


class ReceivedSpan(NamedTuple):
    """A span as it was received; identifiers in hexadecimal, `parent` is '' for a root."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, Any]
    links: list[str]
    resource: dict[str, Any]
    began_ns: int
    ended_ns: int


class OtlpReceiver(Server):
    """Listens for OTLP by HTTP at `http_url` and by gRPC at `grpc_url`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("otlp", folder)
        self._grpc_port = free_port()

    @property
    def http_url(self) -> str:
        """The endpoint by HTTP."""
        return f"http://{self.address}"

    @property
    def grpc_url(self) -> str:
        """The endpoint by gRPC."""
        return f"http://{HOST}:{self._grpc_port}"

    @property
    def _file(self) -> Path:
        return self.folder / "spans.jsonl"

    def command(self) -> list[str]:
        """The command line of the Collector, whose configuration is written, or of the small receiver."""
        # `make otelcol` puts it beside Python.
        collector = shutil.which("otelcol", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if collector is None:
            return [sys.executable, "-m", __name__, str(self.port), str(self._grpc_port), str(self._file)]
        protocols = {"http": {"endpoint": self.address}, "grpc": {"endpoint": f"{HOST}:{self._grpc_port}"}}
        config = {
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": {"file": {"path": str(self._file), "flush_interval": "100ms", "append": True}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["file"]}},
            },
        }
        (self.folder / "otelcol.yaml").write_text(json.dumps(config))
        return [collector, "--config", str(self.folder / "otelcol.yaml")]

    def environment(self) -> dict[str, str]:
        """The small receiver is a module of the tests, which are not installed."""
        return {"PYTHONPATH": str(Path(__file__).parents[2])}

    def answers(self) -> bool:
        """Whether it takes an empty request."""
        empty = urllib.request.Request(
            f"{self.http_url}/v1/traces", b"", {"Content-Type": "application/x-protobuf"}, method="POST"
        )
        try:
            with (
                urllib.request.urlopen(empty, timeout=_ANSWER_TIMEOUT_S),
                socket.create_connection((HOST, self._grpc_port), _ANSWER_TIMEOUT_S),
            ):
                return self.running
        except (OSError, HTTPError):
            return False

    def spans(self) -> list[ReceivedSpan]:
        """Every span received so far, but for a line that is being written."""
        lines = self._file.read_text().split("\n")[:-1] if self._file.exists() else []
        return [
            _received(span, of_resource.get("resource", {}))
            for line in filter(None, lines)
            for of_resource in json.loads(line).get("resourceSpans", [])
            for of_scope in of_resource["scopeSpans"]
            for span in of_scope["spans"]
        ]


def _received(span: dict[str, Any], resource: dict[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        span["name"],
        span["traceId"],
        span["spanId"],
        span.get("parentSpanId", ""),
        _plain(span.get("attributes", [])),
        [link["traceId"] for link in span.get("links", [])],
        _plain(resource.get("attributes", [])),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
    )


def _plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in attributes}


class _Receiver(service.TraceServiceServicer):
    """Writes requests to `file`."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def Export(self, request: Any, context: Any) -> Any:
        line = json.dumps(_with_hexadecimal_ids(MessageToDict(request)))
        with self._file.open("a") as out:
            out.write(line + "\n")
        return messages.ExportTraceServiceResponse()


def _with_hexadecimal_ids(found: Any) -> Any:
    """Identifiers as OTLP's JSON has them; Protobuf's own has bytes in base64."""
    if isinstance(found, list):
        return [_with_hexadecimal_ids(each) for each in found]
    if not isinstance(found, dict):
        return found
    return {
        name: binascii.hexlify(base64.b64decode(value)).decode() if name in _IDS else _with_hexadecimal_ids(value)
        for name, value in found.items()
    }


def _serve(http_port: int, grpc_port: int, file: Path) -> None:
    receiver = _Receiver(file)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = receiver.Export(messages.ExportTraceServiceRequest.FromString(body), None).SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    by_grpc = grpc.server(ThreadPoolExecutor(1))
    add_to_server: Any = service.add_TraceServiceServicer_to_server
    add_to_server(receiver, by_grpc)
    by_grpc.add_insecure_port(f"{HOST}:{grpc_port}")
    by_grpc.start()
    HTTPServer((HOST, http_port), Handler).serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
