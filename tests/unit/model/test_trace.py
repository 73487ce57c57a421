"""A trace shows what serves: its scores are the engine's, and its cells are those of the engine's state."""

from __future__ import annotations

import numpy as np
import pytest

from model import GATES, Tracer

TEXTS = ("not bad at all, thanks", "  worst   flight\never! ", "", "\u00e9\u4e2d\u6587 so good")


@pytest.fixture(scope="module")
def tracer() -> Tracer:
    return Tracer()


@pytest.mark.parametrize("text", TEXTS)
def test_the_last_step_is_the_result_of_the_whole_text(tracer: Tracer, text: str) -> None:
    trace = tracer.read(text)
    (whole,) = tracer.sentiment.score([text])
    assert trace.result.score == pytest.approx(whole.score, abs=1e-5)
    assert [step.word for step in trace.steps] == text.split()
    if trace.steps:
        assert trace.steps[-1].score == trace.result.score
        before = trace.steps[0].score - trace.steps[0].change
        assert before + sum(step.change for step in trace.steps) == pytest.approx(trace.result.score)


def test_the_cells_are_those_of_the_engine_and_the_gates_explain_them(tracer: Tracer) -> None:
    steps = tracer.read("not bad at all").steps
    for number in range(1, len(steps) + 1):
        stream = tracer.sentiment.stream()
        stream.feed(" ".join(step.word for step in steps[:number]) + " ")
        opened = stream._state.open_text
        assert opened is not None
        np.testing.assert_allclose(steps[number - 1].cell, opened.words[1], atol=3e-4)  # a table of 16 bits
    step, before = steps[1], steps[0].cell
    entered, forgotten, candidate, _ = step.gates
    assert len(GATES) == len(step.gates)
    np.testing.assert_allclose(step.cell, forgotten * before + entered * candidate, atol=1e-5)


def test_a_text_goes_on_from_a_state(tracer: Tracer) -> None:
    state = tracer.read("Never again, the worst airline.").state
    alone, after = tracer.read("It was a flight."), tracer.read("It was a flight.", state)
    assert after.result.score < alone.result.score
