"""Tests of the schedule: every input runs once and in order, and nothing is padded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.inference.schedule import plan_rows, schedule

REQUESTS = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(st.lists(st.integers(0, 9), max_size=20))
def test_a_plan_runs_every_input_once_and_in_its_row_in_order(lengths: list[int]) -> None:
    plan = plan_rows(np.array(lengths, np.intp))
    read: dict[int, list[int]] = {row: [] for row in range(len(lengths))}
    for step, num_active in enumerate(plan.num_active):
        assert num_active > 0
        for place in range(num_active):
            read[plan.order[place]].append(plan.firsts[place] + step)
    starts = np.cumsum([0, *lengths])
    assert read == {row: list(range(starts[row], starts[row] + length)) for row, length in enumerate(lengths)}
    assert [plan.place[row] for row in plan.order] == list(range(len(lengths)))


@given(REQUESTS)
def test_indices_are_those_of_reading_the_requests_one_after_the_other(
    requests: list[tuple[int, bool, bool]],
) -> None:
    num_tokens, final, first = (np.array(column) for column in zip(*requests, strict=True))
    first[0] = True
    plan = schedule(num_tokens.astype(np.intp), final, first)
    row, position, token, state, ends_text = -1, 0, 0, -1, True
    lengths: list[int] = []
    for number, (count, is_final, is_first) in enumerate(zip(num_tokens, final, first, strict=True)):
        state += is_first
        if is_first or ends_text:
            row, position = row + 1, 0
            lengths.append(0)
        before = token - 1 if position else plan.num_tokens + row
        token, position = token + count, position + count
        lengths[row] += count
        after = token - 1 if position else plan.num_tokens + row
        assert (plan.row[number], plan.position[number]) == (row, position)
        assert (plan.logits_before[number], plan.logits_after[number]) == (before, after)
        assert plan.token_starts[number] == token - count
        assert plan.state_before[number] == state
        state, ends_text = state + is_final, is_final
        assert plan.state_after[number] == state
    assert plan.num_tokens == token
    assert [bool(end) for end in plan.at_end] == [plan.position[i] == lengths[plan.row[i]] for i in range(len(final))]


def test_readouts_inside_a_row_are_listed_by_their_position() -> None:
    plan = schedule(np.array([2, 0, 3, 1]), np.array([False, False, True, True]), np.array([True, False, False, False]))
    assert {position: requests.tolist() for position, requests in plan.inner_readouts().items()} == {2: [0, 1]}
