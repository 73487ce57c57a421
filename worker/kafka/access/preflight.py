"""What is looked at before the worker joins its group: does Kafka know its requests, and may this user send them."""

from __future__ import annotations

from worker.errors import DependencyError
from worker.kafka.access.rights import check_rights, rights_of_worker
from worker.kafka.brokers import Brokers, UnsupportedRequestError
from worker.settings import Settings


async def check_kafka(settings: Settings, brokers: Brokers) -> None:
    """Raises DependencyError when a broker is too old, or names every right that is missing."""
    try:
        await check_rights(settings, brokers, rights_of_worker(settings))
    except UnsupportedRequestError as error:
        raise DependencyError(
            "Kafka",
            settings.kafka,
            "it is older than 2.5, and does not fence the offsets of a transaction by the group's generation",
            "Upgrade the brokers, or run an earlier version of this worker",
        ) from error
