"""Flags override variables, which override the file; one error names all invalid settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import EXIT_MISUSED, SettingsError
from worker.settings import Settings, load_settings


def test_defaults_are_valid() -> None:
    settings = load_settings()
    assert settings.topics == ("tweets", "reviews")
    assert settings.delivery == "exactly_once"


def test_flags_override_variables_and_variables_override_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "sentiment.toml"
    config.write_text('group = "file"\nmax_batch = 7\nmax_wait_ms = 1.5\n')
    monkeypatch.setenv("SENTIMENT_GROUP", "variable")
    monkeypatch.setenv("SENTIMENT_MAX_BATCH", "8")
    settings = load_settings(config, group="flag")
    assert (settings.group, settings.max_batch, settings.max_wait_ms) == ("flag", 8, 1.5)


def test_a_file_is_forgotten_after_the_call(tmp_path: Path) -> None:
    config = tmp_path / "sentiment.toml"
    config.write_text('group = "file"\n')
    load_settings(config)
    assert load_settings().group == "sentiment"


def test_topics_and_fields_are_read_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_TOPICS", "a, b")
    monkeypatch.setenv("SENTIMENT_FIELDS", '{"a": {"text": "data.text"}}')
    settings = load_settings()
    assert settings.topics == ("a", "b")
    assert settings.fields["a"].text == "data.text"
    assert settings.fields["a"].id == "id"


def test_payloads_are_named_in_short_or_described_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_PAYLOADS", "tweets=x-v2, reviews = confluent-json")
    settings = load_settings()
    assert settings.payloads["tweets"].preset == "x-v2"
    assert settings.payloads["reviews"].format == "confluent-json"
    monkeypatch.setenv("SENTIMENT_PAYLOADS", '{"tweets": {"preset": "x-v2", "time_format": ["epoch_s", "%d/%m/%Y"]}}')
    monkeypatch.setenv("SENTIMENT_FIELDS", '{"tweets": {"text": ["note.text", "a\\\\.b"]}}')
    payload, fields = load_settings().payload_of("tweets")
    assert (payload.time_format, len(payload.skip)) == (("epoch_s", "%d/%m/%Y"), 3)
    assert (fields.text, fields.stream) == (("note.text", "a\\.b"), ("data.author_id", "author_id"))


def test_one_error_names_all_invalid_settings() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(max_batch=0, redis="nonsense", heartbeat_interval_s=9, commit_timeout_s=99)
    message = str(caught.value)
    for name in ("max_batch", "redis", "heartbeat_interval_s", "commit_timeout_s"):
        assert name in message
    assert caught.value.exit_code == EXIT_MISUSED


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"topics": ("a", "a")}, "topics must differ"),
        ({"events_topic": "tweets"}, "topics must differ"),
        ({"fields": {"other": {}}}, "not in topics"),
        ({"payloads": {"other": {}}}, "not in topics"),
        ({"payloads": {"tweets": "yelp?"}}, "payloads.tweets: no preset 'yelp\\?'; there are x-v1.1, x-v2"),
        ({"payloads": "tweets"}, "neither topic=preset or topic=format"),
        ({"payloads": '{"tweets": '}, "payloads: it is no JSON such as"),
        ({"fields": "tweets=text"}, "fields: it is no JSON such as"),
        ({"payloads": {"tweets": {"time_format": "%H"}}}, "payloads.tweets.time_format.*no time format"),
        ({"payloads": {"tweets": {"key_format": "short"}}}, "payloads.tweets.key_format"),
        ({"payloads": {"tweets": {"skip": [{"path": "a..b"}]}}}, "is not a path"),
        ({"payloads": {"tweets": {"skip": [{"path": "a", "pattern": "("}]}}}, "is no regular expression"),
        ({"payloads": {"tweets": {"skip": [{"path": "a", "values": [1], "missing": True}]}}}, "one of values, pattern"),
        ({"payloads": {"tweets": {"format": "text", "skip": [{"path": "a"}]}}}, "no fields to skip by"),
        ({"payloads": "tweets=text", "fields": {"tweets": {"text": "a"}}}, "format text has no fields"),
        ({"fields": {"tweets": {"text": ["a", "b."]}}}, "fields.tweets.text.*is not a path"),
        ({"compression": "brotli"}, "compression"),
        ({"kafka_security": "SASL_SSL"}, "kafka_username"),
        ({"max_text_bytes": 1 << 30}, "max_inflight_bytes"),
        ({"unknown": 1}, "unknown: there is no such setting"),
        ({"max-batch": 1}, "max-batch: there is no such setting, but max_batch"),
        ({"topics": "a b,"}, "topics.0: 'a b' is no name"),
        ({"topics": ""}, "topics.0: '' is no name"),
        ({"topics": ()}, "topics: must name at least one"),
        ({"topics": ".."}, "neither . nor .."),
        ({"events_topic": "__consumer_offsets"}, "events_topic: '__consumer_offsets' is no name"),
        ({"topics": "a.b,a_b"}, "differ from each other, and by more than dots"),
        ({"instance_id": "a/b"}, "instance_id: 'a/b' is no name"),
        ({"health_host": "a b"}, "health_host: 'a b' is no host name"),
        ({"max_batch": "5.5"}, "max_batch: must be a whole number$"),
        ({"max_batch": 1 << 40, "max_inflight_records": 1 << 41}, "max_batch: must be less than 2147483648"),
        ({"replication": 40_000}, "replication: must be less than 32768"),
        ({"session_timeout_s": 1e7}, "session_timeout_s: must be less than or equal to 2147483"),
        ({"payloads": "tweets=yelp,tweets=reddit"}, "payloads: a topic is named twice"),
        ({"payloads": {"tweets": {"preset": "x-v2", "format": "text"}}}, "the preset skips by some"),
        ({"payloads": {"tweets": {"time_format": "%Y%m%d%Y"}}}, "payloads.tweets.time_format.*no time format"),
        ({"payloads": {"tweets": {"time_format": 5}}}, "time_format: must be text or a list$"),
        ({"payloads": {"tweets": {"fmt": "json"}}}, "payloads.tweets.fmt: there is no such name here"),
        ({"fields": {"tweets": {"text": ["a", 5]}}}, "fields.tweets.text: must be text$"),
        ({"fields": {"tweets": "text"}}, "fields.tweets: must be an object with the paths of id, stream, text"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(flags: dict[str, object], expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load_settings(**flags)


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_may_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_KAFAK", "broker:9092")
    monkeypatch.setenv("SENTIMENT_COLOUR", "blue")
    with pytest.raises(SettingsError) as caught:
        load_settings(max_batch=0)
    assert "SENTIMENT_KAFAK: there is no such setting, but SENTIMENT_KAFKA" in str(caught.value)
    assert "SENTIMENT_COLOUR: there is no such setting;" in str(caught.value)
    assert "max_batch" in str(caught.value)


def test_problems_of_settings_together_are_listed_one_a_line_as_others_are() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(max_batch=0, events_topic="tweets", commit_timeout_s=99)
    _, *lines = str(caught.value).splitlines()
    starts = ("  max_batch: ", "  topics must differ ", "  commit_timeout_s must be below ")
    assert len(lines) == len(starts)
    assert all(any(line.startswith(start) for line in lines) for start in starts)


def test_a_variable_that_is_empty_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"SENTIMENT_{name.upper()}", "")
    assert load_settings() == Settings.model_validate({})


def test_what_kubernetes_adds_to_the_environment_beside_a_service_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT_METRICS", "PORT", "PORT_6066_TCP_ADDR", "WORKER_SERVICE_HOST"):
        monkeypatch.setenv(f"SENTIMENT_{name}", "10.0.0.1")
    assert load_settings().group == "sentiment"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    config = tmp_path / "sentiment.toml"
    config.write_bytes(b'\xef\xbb\xbfgroup = "file"\n')
    assert load_settings(config).group == "file"


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_KAFKA_PASSWORD", "swordfish")
    assert "swordfish" not in repr(load_settings())
