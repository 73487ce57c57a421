"""Creating and checking topics on a real Kafka."""

import asyncio
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from tests.kafka_tools import Keyed, create_topics, produce, read_to_end
from tests.workplace import Workplace, new_workplace
from worker.errors import DependencyError, Reason, RecordError, TopicsError
from worker.kafka.brokers import Brokers
from worker.kafka.producer import BatchProducer, ProducerRecord
from worker.kafka.topics import check_topics, ensure_topics
from worker.records.headers import deadletter_headers
from worker.settings import load_settings
from worker.stack import LocalStack
from worker.stack.server import free_port

LARGEST_VALUE_BYTES = (1 << 20) - 200  # the rest covers the client's estimate of the batch overhead


@pytest.fixture
def bare(stack: LocalStack) -> Iterator[Workplace]:
    """A workplace without topics."""
    made = new_workplace(stack, partitions=3)
    yield made
    made.delete_topics()


def partition_counts(bare: Workplace) -> dict[str, int]:
    with KafkaAdminClient(bootstrap_servers=bare.settings.kafka) as admin:
        return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(bare.all_topics)}


def test_topics_are_created_once_and_are_then_suitable(bare: Workplace) -> None:
    with pytest.raises(TopicsError, match="missing topics") as caught:
        check_topics(bare.settings)
    assert all(name in str(caught.value) for name in bare.all_topics)
    assert ensure_topics(bare.settings) == bare.all_topics
    check_topics(bare.settings)
    assert set(partition_counts(bare).values()) == {3}
    assert ensure_topics(bare.settings) == []


def test_outputs_get_as_many_partitions_as_the_largest_existing_input(bare: Workplace) -> None:
    create_topics(bare.settings.kafka, {bare.topic: 5})
    ensure_topics(bare.settings)
    counts = partition_counts(bare)
    assert (counts[bare.topic], counts[bare.settings.topics[1]]) == (5, 3)
    assert counts[bare.settings.events_topic] == counts[bare.settings.deadletters_topic] == 5
    check_topics(bare.settings)


def test_an_events_topic_that_is_too_small_is_left_unchanged_and_named(bare: Workplace) -> None:
    create_topics(bare.settings.kafka, {bare.settings.events_topic: 2})
    ensure_topics(bare.settings)
    with pytest.raises(TopicsError, match=f"{bare.settings.events_topic} has 2 partitions, the input .* has 3"):
        check_topics(bare.settings)


def test_dead_letters_are_deleted_before_the_progress_of_their_redrive(bare: Workplace) -> None:
    ensure_topics(bare.settings)
    resource = ConfigResource(ConfigResourceType.TOPIC, bare.settings.deadletters_topic)
    with KafkaAdminClient(bootstrap_servers=bare.settings.kafka) as admin:
        configs = admin.describe_configs([resource], config_filter="all")
    values = {name: entry["value"] for name, entry in next(iter(next(iter(configs.values())).values())).items()}
    assert int(values["retention.ms"]) + int(values["segment.ms"]) < 7 * 86_400_000


def test_the_largest_record_that_a_broker_takes_fits_as_a_dead_letter(bare: Workplace) -> None:
    ensure_topics(bare.settings)
    value = b"x" * LARGEST_VALUE_BYTES
    produce(bare.settings.kafka, bare.topic, [Keyed(b"@acme", value, 0)])
    error = RecordError(Reason.TEXT_TOO_LONG, "e" * 1000)
    headers = deadletter_headers((), error, bare.topic, 0, 0, 0)

    async def publish() -> None:
        async with Brokers(bare.settings) as brokers:
            producer = BatchProducer(bare.settings, brokers)
            await producer.start()
            await producer.send([ProducerRecord(bare.settings.deadletters_topic, 0, b"@acme", value, headers)])

    asyncio.run(publish())
    (letter,) = read_to_end(bare.settings.kafka, bare.settings.deadletters_topic)
    assert letter.value == value


def test_a_refusal_of_the_broker_is_reported_with_its_reason(bare: Workplace) -> None:
    settings = bare.settings.model_copy(update={"replication": 9})
    with pytest.raises(TopicsError, match=r"(?i)replica"):
        ensure_topics(settings)


def test_a_kafka_that_does_not_answer_is_named_with_what_to_do() -> None:
    kafka = f"127.0.0.1:{free_port()}"
    settings = load_settings(kafka=kafka, request_timeout_s=1)
    for call in (check_topics, ensure_topics):
        with pytest.raises(DependencyError, match=f"Kafka at {kafka}.*sentiment stack"):
            call(settings)
