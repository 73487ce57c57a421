"""Claims of partitions on a real Redis: who owned a partition before, and who is refused from then on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories.partitions import CONFIG, TOPIC, new_entry
from tests.factories.records import TWEETS
from tests.integration.state.owners import Scenario, claim, flush, own
from tests.workplace import Workplace
from worker.records.types import TopicPartition
from worker.state.claims import Claim, Claimant, Fence, TopicInfo, Verdict
from worker.state.store import StateStore

OTHER_FINGERPRINT = "00000000000000ff"


def test_a_claim_names_the_owner_before_and_the_topic_of_the_states(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        assert await claim(store, "one", "g-1-a-0") == Claim("one", None, None, "", TOPIC)
        later = TopicInfo("cluster/2", 8)
        assert await claim(store, "two", "g-2-b-0", later) == Claim("two", None, None, "g-1-a-0", TOPIC, "g-1-a-0")
        assert await store.begin(TWEETS, "two", Fence("three", "three", None), later) is Verdict.OK
        assert await claim(store, "four", "g-3-c-0") == Claim("four", None, "three", "g-2-b-0", later, "g-2-b-0")

    run(scenario)


def test_a_worker_takes_a_shadows_states_which_the_shadow_may_claim_once_another_model_serves(
    workplace: Workplace, run: Callable[[Scenario], None]
) -> None:
    async def scenario(store: StateStore) -> None:
        old = StateStore(workplace.settings, CONFIG, OTHER_FINGERPRINT)
        shadow = Claimant("shadow", "g.shadow:1:a:0", is_shadow=True)
        topics = {TWEETS: TOPIC}
        await old.claim(Claimant("old", "g:1:a:0"), topics)
        # The worker's id is no shadow's to end, but it is told.
        assert (await store.claim(shadow, topics))[TWEETS].last_worker == "g:1:a:0"
        assert await store.begin(TWEETS, "shadow", Fence("shadow", "one", None), TOPIC) is Verdict.OK
        assert await store.flush(TWEETS, Fence("shadow", "one", None), {"a": new_entry(2)}, 3) is Verdict.OK
        found = await claim(store, "new", "g:2:b:0")
        assert found == Claim("new", 3, "one", "g.shadow:1:a:0", TOPIC, "g:1:a:0")
        verdict, (entry,) = await store.read(TWEETS, Fence("new", "one", 3), ["a"])
        assert (verdict, entry and entry.num_records) == (Verdict.OK, 2)
        assert await store.flush(TWEETS, Fence("shadow", "one", 3), {"a": None}, 4) is Verdict.CHANGED
        assert await store.claim(shadow, topics) == {}
        assert (await old.claim(Claimant("old", "g:3:a:0"), topics))[TWEETS].last_worker == "g:2:b:0"
        assert (await store.claim(shadow, topics))[TWEETS].position == 3
        await old.close()

    run(scenario)


def test_a_claim_tells_how_often_the_offset_had_gone_back_at_the_last_flush(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        assert (await claim(store, "one")).num_resets is None
        assert await store.begin(TWEETS, "one", Fence("one", "one", None), TOPIC) is Verdict.OK
        for position, num_resets in ((3, 2), (3, 3), (4, None), (5, 4)):
            before = (await claim(store, "one")).position
            fence = Fence("one", "one", before)
            assert await store.flush(TWEETS, fence, {}, position, num_resets) is Verdict.OK
            found = await claim(store, "one")
            assert (found.position, found.num_resets) == (position, num_resets)
        assert await store.begin(TWEETS, "one", Fence("two", "two", None), TOPIC) is Verdict.OK
        assert (await claim(store, "two")).num_resets is None

    run(scenario)


def test_many_partitions_are_claimed_at_once_each_for_itself(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        await flush(store, await own(store), 3)
        second = TopicPartition("tweets", 1)
        found = await store.claim(Claimant("two", ""), {TWEETS: TOPIC, second: TopicInfo("", 4)})
        assert found == {
            TWEETS: Claim("two", 3, "one", "", TOPIC, num_resets=0),
            second: Claim("two", None, None, "", TopicInfo("", 4)),
        }

    run(scenario)


def test_the_first_partition_remembers_how_many_its_topic_had(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        assert await store.first_partition_counts(["tweets", "reviews"]) == {}
        await claim(store, "one", topic=TopicInfo("", 4))
        await claim(store, "two", topic=TopicInfo("", 8))
        assert await store.first_partition_counts(["tweets", "reviews"]) == {"tweets": 4}

    run(scenario)


@pytest.mark.parametrize("newer", ["two", "0"])
def test_an_owner_before_the_last_claim_is_refused(run: Callable[[Scenario], None], newer: str) -> None:
    async def scenario(store: StateStore) -> None:
        old = await own(store)
        new = await own(store, newer)
        assert await flush(store, old, 1, a=new_entry(1)) is Verdict.CHANGED
        assert old.num_dirty
        assert (await store.read(TWEETS, old.fence, ["a"]))[0] is Verdict.CHANGED
        assert await store.begin(TWEETS, "one", Fence("three", "three", None), TOPIC) is Verdict.CHANGED
        assert await store.read(TWEETS, new.fence, ["a"]) == (Verdict.OK, [None])

    run(scenario)


def test_a_new_lineage_does_not_see_the_states_of_the_old_one(run: Callable[[Scenario], None]) -> None:
    async def scenario(store: StateStore) -> None:
        partition = await own(store)
        await flush(store, partition, 1, a=new_entry(1))
        fence = Fence("two", "two", None)
        assert await store.begin(TWEETS, "one", fence, TOPIC) is Verdict.OK
        assert await store.read(TWEETS, fence, ["a"]) == (Verdict.OK, [None])
        assert await claim(store, "three") == Claim("three", None, "two", "", TOPIC)

    run(scenario)
