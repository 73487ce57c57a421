"""Why Kafka refuses something, and what to do: by the numbers of its protocol, and by what the network says."""

from __future__ import annotations

from worker.errors import DependencyError
from worker.kafka.access.tokens import TokenError
from worker.servers.causes import Cause, errors_of, find_cause
from worker.settings import Settings

RIGHTS_ADVICE = "`kafka-acls.sh --add --allow-principal` grants it; docs/connect.md lists the rights of each command"

# By the numbers of Kafka's protocol.
_BY_CODE = {
    10: Cause(
        "it does not take a record of this size",
        "Raise max.message.bytes of the topic (kafka-configs.sh --alter --entity-type topics)",
    ),
    29: Cause("this user lacks a right to a topic", RIGHTS_ADVICE),
    30: Cause("this user lacks a right to the consumer group", RIGHTS_ADVICE),
    31: Cause("this user lacks a right to the cluster", RIGHTS_ADVICE),
    33: Cause("it does not know this SASL mechanism", "Set --kafka-sasl-mechanism to one that it knows"),
    34: Cause(
        "it wants no login on this port", "Set --kafka-security PLAINTEXT or SSL, or name the port of its SASL listener"
    ),
    44: Cause("a policy of the brokers forbids this", "Ask who runs them: their logs name the policy"),
    53: Cause("this user lacks a right to the transactional id", RIGHTS_ADVICE),
    58: Cause("it refuses the login", "Correct the user, the password or --kafka-sasl-mechanism"),
    76: Cause(
        "it does not take this compression", "Set compression.type of the topic to producer, or to another codec"
    ),
}
_NO_COORDINATOR = 15
_UNREADABLE = Cause(
    "a record is compressed with a codec that this Python cannot read", "Install it: pip install cramjam"
)


def kafka_cause(settings: Settings, error: BaseException) -> Cause | None:
    """The cause that an error of aiokafka, kafka-python, the network or TLS stands for; None for another."""
    for one in errors_of(error):
        if isinstance(one, TokenError):
            return Cause(
                f"no token for the login came from {settings.kafka_oauth_token_url or 'AWS'} ({one})",
                "Correct --kafka-oauth-token-url, the client id and its secret, or the credentials of AWS",
            )
        cause = _BY_CODE.get(_code(one))
        if cause is not None:
            said = "" if "<AIOKafkaConnection" in str(one) else f" ({one})"
            return Cause(f"{cause.problem}{said}", cause.advice)
        if type(one).__name__ == "UnsupportedCodecError":
            return Cause(f"{_UNREADABLE.problem} ({one})", _UNREADABLE.advice)
    return find_cause(error, "kafka", has_certificate=settings.kafka_certificate_file is not None)


def _code(error: BaseException) -> int:
    """The number of a KafkaError, of either library; 0 for other errors, whose `errno` means something else."""
    is_kafkas = any(base.__name__ == "KafkaError" for base in type(error).__mro__)
    code = getattr(error, "errno", 0) if is_kafkas else 0
    return code if isinstance(code, int) else 0


def _advice(error: BaseException) -> str:
    if any(_code(one) == _NO_COORDINATOR for one in errors_of(error)):
        return (
            "No broker coordinates the group or its transactions: with fewer than three brokers, set "
            "transaction.state.log.replication.factor, transaction.state.log.min.isr and "
            "offsets.topic.replication.factor to 1"
        )
    return "Start it (`sentiment stack` runs a local one), or name another with --kafka (SENTIMENT_KAFKA)"


def advice_for(code: int) -> str:
    """What to do about an error code of Kafka's protocol; '' where there is nothing to say."""
    cause = _BY_CODE.get(code)
    return cause.advice if cause else ""


def kafka_away(settings: Settings, error: BaseException) -> DependencyError:
    """The error that says what is wrong with Kafka, and what to do."""
    cause = kafka_cause(settings, error)
    if cause is None:
        # Errors of aiokafka and kafka-python begin with their name; others may have no text at all.
        said = str(error) or type(error).__name__
        cause = Cause(f"does not answer ({said})", _advice(error))
    return DependencyError("Kafka", settings.kafka, *cause)
