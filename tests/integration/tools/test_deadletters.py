"""Listing dead letters on a real broker, and which of them a redrive takes; the worker's own producer writes them."""

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from tests.integration.tools.buried import MIXED, NO_TEXTS, TIME_MS, bury, listed, redriven, returned, values
from tests.kafka_tools import Keyed, produce
from tests.workplace import Workplace
from worker.errors import Reason, RecordError
from worker.records.codec import format_time
from worker.records.headers import deadletter_headers

SEND_TIMEOUT_S = 120


def test_a_dead_letter_is_listed_with_everything_known_about_it(workplace: Workplace) -> None:
    bury(workplace, [NO_TEXTS[0]], partition=2, first_offset=41)
    (letter,) = listed(workplace)
    assert (letter.reason, letter.error) == (Reason.NO_TEXT, "because of no_text")
    assert (letter.source.topic, letter.source.partition, letter.source.offset) == (workplace.topic, 2, 41)
    assert letter.source.time == format_time(TIME_MS + 41)
    assert (letter.key, letter.num_bytes, letter.num_redriven) == ("@acme", len(NO_TEXTS[0].value), 0)
    assert letter.pending
    assert letter.id == f"{workplace.settings.deadletters_topic}-2-0"


def test_dead_letters_are_listed_by_reason_oldest_first_any_number_of_times(workplace: Workplace) -> None:
    bury(workplace, MIXED)
    assert [letter.reason for letter in listed(workplace)] == [one.reason for one in MIXED]
    for _ in range(2):
        poisons = listed(workplace, Reason.POISON)
        assert [letter.source.offset for letter in poisons] == [1, 4, 6]
    assert len(listed(workplace, Reason.NO_TEXT, Reason.POISON)) == len(MIXED)
    assert not listed(workplace, Reason.NO_STREAM)


def test_uncommitted_records_are_neither_listed_nor_redriven_nor_waited_for(workplace: Workplace) -> None:
    topic = workplace.settings.deadletters_topic
    headers = deadletter_headers((), RecordError(Reason.NO_TEXT, ""), workplace.topic, 0, 0, TIME_MS)
    bury(workplace, NO_TEXTS[:1])

    def begun(transactional_id: str) -> KafkaProducer:
        producer = KafkaProducer(bootstrap_servers=workplace.settings.kafka, transactional_id=transactional_id)
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"uncommitted", b"k", headers, partition=0).get(SEND_TIMEOUT_S)
        return producer

    with begun(f"{workplace.settings.group}.aborted") as aborted:
        aborted.abort_transaction()
    bury(workplace, NO_TEXTS[1:2], first_offset=1)
    with begun(f"{workplace.settings.group}.open") as opened:
        bury(workplace, NO_TEXTS[2:3], first_offset=2)
        assert len(listed(workplace)) == 2
        assert redriven(workplace) == (2, 0)
        opened.abort_transaction()
    assert redriven(workplace) == (1, 0)
    assert returned(workplace) == values(NO_TEXTS[:3])


def test_records_deleted_from_the_log_are_skipped(workplace: Workplace) -> None:
    bury(workplace, NO_TEXTS)
    held = TopicPartition(workplace.settings.deadletters_topic, 0)
    with KafkaAdminClient(bootstrap_servers=workplace.settings.kafka) as admin:
        admin.delete_records({held: 4})  # each of the first two is followed by a commit marker
    assert [letter.source.offset for letter in listed(workplace)] == [2, 3]
    assert redriven(workplace) == (2, 0)
    assert returned(workplace) == values(NO_TEXTS[2:])


def test_records_that_no_worker_wrote_are_listed_counted_and_left_alone(workplace: Workplace) -> None:
    produce(workplace.settings.kafka, workplace.settings.deadletters_topic, [Keyed(b"k", b"stray", 0)])
    bury(workplace, NO_TEXTS[:1])
    stray, letter = listed(workplace)
    assert (stray.reason, stray.source, stray.pending) == (None, None, False)
    assert letter.pending
    assert redriven(workplace) == (1, 1)
    assert returned(workplace) == values(NO_TEXTS[:1])
