"""The bugs by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.planted_bugs import commit_bugs, flush_bugs, model_change_bugs, takeover_bugs

Planted = Callable[[], AbstractContextManager[Any]]

WORKER_BUGS: dict[str, Planted] = {
    planted.__name__: planted
    for planted in (
        flush_bugs.no_owner_token,
        flush_bugs.flush_by_lineage_alone,
        flush_bugs.flush_under_another_lineage,
        flush_bugs.begin_by_a_paused_claimer,
        flush_bugs.lost_states_ignored,
        flush_bugs.reseek_missing,
        commit_bugs.offset_outside_of_the_transaction,
        commit_bugs.offsets_in_nobodys_name,
        commit_bugs.producers_not_fenced,
        commit_bugs.published_during_replay,
        commit_bugs.ended_before_everything_is_written,
        commit_bugs.late_requests_accepted,
        takeover_bugs.unstable_offset_read,
        takeover_bugs.predecessor_not_ended,
        takeover_bugs.lost_markers_left,
        takeover_bugs.end_of_the_log_ignored,
        takeover_bugs.topic_ids_ignored,
        takeover_bugs.group_offset_ignored,
        takeover_bugs.offsets_believed_while_they_load,
        takeover_bugs.rebuild_over_markers_never_ends,
        model_change_bugs.shadow_not_bound,
        model_change_bugs.events_of_a_shadow_published,
    )
}


def described(bug: Callable[..., Any]) -> str:
    """What a planted bug does, in the first line of its docstring."""
    return (bug.__doc__ or "").strip().partition("\n")[0]
