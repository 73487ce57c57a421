"""Trace contexts in the headers of records: what is taken, what is ignored, what is handed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.monitoring.tracing.context import MAX_TRACESTATE_BYTES, TraceContext, read_context, without_context
from worker.records.types import Header

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


def parent(value: bytes | None) -> list[Header]:
    return [("other", b"x"), ("traceparent", value)]


def test_a_context_is_read_and_written_as_it_came() -> None:
    headers: list[Header] = [("traceparent", PARENT), ("tracestate", b"vendor=a:b, t1@v2=c")]
    context = read_context(headers)
    assert context == TraceContext(TRACE, SPAN, True, b"vendor=a:b,t1@v2=c")
    assert context.headers() == [("traceparent", PARENT), ("tracestate", b"vendor=a:b,t1@v2=c")]


@pytest.mark.parametrize(("flags", "sampled"), [(b"00", False), (b"01", True), (b"02", False), (b"ff", True)])
def test_the_last_bit_of_the_flags_says_whether_a_trace_is_sampled(flags: bytes, sampled: bool) -> None:
    context = read_context(parent(PARENT[:-2] + flags))
    assert context is not None
    assert context.sampled is sampled


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"nonsense", PARENT[:-1], PARENT + b"0", PARENT + b"-more", PARENT + b"\n", b" " + PARENT),
        *(PARENT.upper(), b"ff" + PARENT[2:], b"\xff" * 55, PARENT.replace(b"-", b"_"), PARENT * 1000),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
    ],
)
def test_a_malformed_traceparent_is_none(value: bytes | None) -> None:
    assert read_context([*parent(value), ("tracestate", b"a=b")]) is None


def test_a_later_version_is_read_by_its_first_fields_and_written_as_version_0() -> None:
    context = read_context(parent(b"cc" + PARENT[2:] + b"-what-the-future-will-be-like"))
    assert context is not None
    assert context.headers() == [("traceparent", PARENT)]


def test_of_several_contexts_the_last_counts() -> None:
    later = f"00-{TRACE}-{'1' * 16}-00".encode()
    context = read_context([*parent(PARENT), ("traceparent", later)])
    assert context is not None
    assert context.span_id == "1" * 16
    assert read_context([*parent(PARENT), ("traceparent", b"nonsense")]) is None


@pytest.mark.parametrize(
    "state",
    [
        *(b"", b"no-value", b"A=b", b"a=b,a=c", b"a=b\xff", b"a=" + b"b" * MAX_TRACESTATE_BYTES, b",", b"a=b,,c=d"),
        b",".join(b"k%d=v" % number for number in range(33)),
    ],
)
def test_a_malformed_tracestate_costs_the_tracestate_alone(state: bytes) -> None:
    context = read_context([*parent(PARENT), ("tracestate", state)])
    assert context == TraceContext(TRACE, SPAN, True)


def test_without_context_the_other_headers_are_left_in_order() -> None:
    headers: list[Header] = [("a", b"1"), ("traceparent", PARENT), ("b", None), ("tracestate", b"a=b")]
    assert without_context(headers) == [("a", b"1"), ("b", None)]


HEX = st.text("0123456789abcdefABCDEFg", min_size=0, max_size=33)
LIKELY = st.builds(
    lambda version, trace, span, flags, end: f"{version}-{trace}-{span}-{flags}{end}".encode(),
    st.sampled_from(["00", "01", "ff", "0"]),
    st.one_of(st.just(TRACE), HEX),
    st.one_of(st.just(SPAN), HEX),
    st.sampled_from(["00", "01", "1", "zz"]),
    st.sampled_from(["", "-", "-x", " "]),
)
STATES = st.one_of(st.binary(max_size=600), st.sampled_from([b"a=b", b"a=b,c=d", b"t@v=1", b"a=b,a=b"]))


@given(st.one_of(st.binary(max_size=80), LIKELY), STATES)
def test_any_bytes_are_ignored_or_give_what_opentelemetry_reads_too(value: bytes, state: bytes) -> None:
    context = read_context([("traceparent", value), ("tracestate", state)])
    if context is None:
        return
    written = {name: (text or b"").decode() for name, text in context.headers()}
    assert len(written["traceparent"]) == 55
    theirs = get_current_span(TraceContextTextMapPropagator().extract(written)).get_span_context()
    assert (f"{theirs.trace_id:032x}", f"{theirs.span_id:016x}") == (context.trace_id, context.span_id)
    assert (bool(theirs.trace_flags.sampled), theirs.is_remote) == (context.sampled, True)
    assert theirs.trace_state.to_header().encode() == context.tracestate
    assert read_context(context.headers()) == context
