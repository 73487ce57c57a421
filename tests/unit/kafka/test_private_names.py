"""The private names of Faust and aiokafka that the worker depends on: an upgrade that changes one fails here."""

from __future__ import annotations

import ast
import inspect
from asyncio import StreamReaderProtocol
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.record import default_records, legacy_records
from faust.transport.drivers import aiokafka as driver
from mode.services import Service
from mode.utils.queues import FlowControlQueue

from worker.kafka import brokers, clients, group, log, producer, transaction
from worker.kafka.protocol import batches, offsets, parsing, topics
from worker.kafka.transport import app, consumer, fetch_thread

MODULES = (
    *(brokers, clients, group, log, producer, transaction),
    *(app, consumer, fetch_thread),
    *(batches, offsets, parsing, topics),
)

# Owner, name, and the parameters that it is called with, or overridden by.
METHODS: tuple[tuple[type, str, str], ...] = (
    (faust.App, "_new_transport", "(self)"),
    (faust.App, "_on_rebalance_when_stopped", "(self)"),
    (faust.App, "on_first_start", "(self)"),
    (driver.Consumer, "_new_consumer_thread", "(self)"),
    (driver.Consumer, "_drain_messages", "(self, fetcher)"),
    (driver.Consumer, "_wait_next_records", "(self, timeout)"),
    (driver.Consumer, "force_commit", "(self, topics, start_new_transaction)"),
    (driver.Consumer, "perform_seek", "(self)"),
    (driver.Consumer, "wait_empty", "(self)"),
    (driver.Consumer, "verify_event_path", "(self, now, tp)"),
    (driver.Consumer, "on_partitions_revoked", "(self, revoked)"),
    (driver.Consumer, "on_partitions_assigned", "(self, assigned, generation_id)"),
    (driver.Consumer, "stop_flow", "(self)"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer", "(self, transport)"),
    (driver.AIOKafkaConsumerThread, "_fetch_records", "(self, consumer, active_partitions, timeout, max_records)"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer", "(self)"),
    (driver.AIOKafkaConsumerThread, "on_thread_stop", "(self)"),
    (driver.AIOKafkaConsumerThread, "call_thread", "(self, fun, args, kwargs)"),
    (FlowControlQueue, "force_put_nowait", "(self, item)"),
    (default_records._DefaultRecordBatchPy, "_maybe_uncompress", "(self)"),
    (default_records._DefaultRecordBatchPy, "_read_msg", "(self, decode_varint)"),
    (legacy_records._LegacyRecordBatchPy, "_read_header", "(self, pos)"),
)
# Owner and attribute that its constructor sets.
ATTRIBUTES: tuple[tuple[type, str], ...] = (
    (driver.Consumer, "_thread"),
    (Service, "_stopped"),
    (AIOKafkaConsumer, "_isolation_level"),
    (AIOKafkaConsumer, "_coordinator"),
    (AIOKafkaConsumer, "_fetcher"),
    (Fetcher, "_records"),
    (FetchResult, "_partition_records"),
    (GroupCoordinator, "member_id"),
    (Fetcher, "_fetch_min_bytes"),
    (Fetcher, "_fetch_max_wait_ms"),
    (driver.AIOKafkaConsumerThread, "_consumer"),
    (AIOKafkaConsumer, "_client"),
    (AIOKafkaClient, "_conns"),
    (AIOKafkaConnection, "_protocol"),
    (StreamReaderProtocol, "_transport"),
)
OF_COMPILED_CLASSES = {"_tp_index", "_subscribers"}
OF_PARSERS = {  # see test_parsing.py
    *("_DefaultRecordBatchPy", "_LegacyRecordBatchPy", "_MemoryRecordsPy"),
    *("_buffer", "_next_slice", "_cache_next", "_decompressed"),
}
NAMES = {name for _, name, _ in METHODS} | {name for _, name in ATTRIBUTES} | OF_COMPILED_CLASSES | OF_PARSERS


def test_faust_and_aiokafka_are_the_versions_that_were_read() -> None:
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka").startswith("0.14.")


@pytest.mark.parametrize(("owner", "name", "parameters"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_a_method_still_takes_what_it_is_called_with(owner: type, name: str, parameters: str) -> None:
    signature = inspect.signature(getattr(owner, name))
    assert f"({', '.join(signature.parameters)})" == parameters


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES, ids=lambda value: getattr(value, "__name__", value))
def test_an_object_still_has_the_attribute(owner: type, name: str) -> None:
    sources = "".join(inspect.getsource(base) for base in owner.__mro__ if base is not object)
    assert f"self.{name} " in sources or f"self.{name}:" in sources or hasattr(owner, name)


def test_a_topic_still_finds_its_agents_queue() -> None:
    app: Any = faust.App("private-names", store="memory://")
    assert app.topics._tp_index == {}
    assert list(app.channel()._subscribers) == []


def test_exactly_the_private_names_of_other_libraries_are_listed() -> None:
    trees = [ast.parse(Path(module.__file__ or "").read_text()) for module in MODULES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    own = functions | {
        target.attr
        for node in nodes
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in ast.walk(node)
        if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store) and _is_self(target.value)
    }
    assert {name for name in used - own if _is_private(name)} <= NAMES
    assert {name for name in NAMES if _is_private(name)} <= used | functions


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"
