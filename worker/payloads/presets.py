"""Presets: the payloads of public sources by name. Each has examples of ours in examples/NAME.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from worker.payloads.payload import FieldPaths, Payload, SkipRule

_EXAMPLES: Final = Path(__file__).parent / "examples"
_RETWEET: Final = "RT @"


class Preset(NamedTuple):
    """Where the fields of a payload are, and how they are read; `stream` says what a stream is, for people."""

    description: str
    stream: str
    fields: FieldPaths
    payload: Payload = Payload()


def _rules(*paths: str) -> tuple[SkipRule, ...]:
    return tuple(SkipRule(path=path) for path in paths)


# Messages of X's streams that are no posts.
_X_NOTICES = _rules(
    *("delete", "scrub_geo", "limit", "status_withheld", "user_withheld", "disconnect", "warning"),
    *("friends", "friends_str", "event", "direct_message", "control"),
)

PRESETS: Final[dict[str, Preset]] = {
    "x-v1.1": Preset(
        "a post of X's (Twitter's) API v1.1, as its streams and most archives have it; without retweets",
        "author",
        FieldPaths(
            id=("id_str", "id"),
            stream=("user.id_str", "user.id"),
            text=("extended_tweet.full_text", "full_text", "text"),
            time=("timestamp_ms", "created_at"),
            final=(),
        ),
        Payload(
            skip=(*_X_NOTICES, *_rules("retweeted_status"), SkipRule(path=("full_text", "text"), pattern=_RETWEET)),
        ),
    ),
    "x-v2": Preset(
        "a post of X's API v2, within `data` or by itself; without retweets and what its streams say of themselves",
        "author",
        FieldPaths(
            id=("data.id", "id"),
            stream=("data.author_id", "author_id"),
            text=("data.note_tweet.text", "data.text", "note_tweet.text", "text"),
            time=("data.created_at", "created_at"),
            final=(),
        ),
        Payload(
            skip=(
                SkipRule(path=("data.referenced_tweets.*.type", "referenced_tweets.*.type"), values=("retweeted",)),
                SkipRule(path=("data.text", "text"), pattern=_RETWEET),
                SkipRule(path=("errors.*.disconnect_type", "errors.*.connection_issue")),
            ),
        ),
    ),
    "amazon-2018": Preset(
        "a review of the Amazon Review Data of 2018 (and 2014)",
        "product",
        FieldPaths(
            id=(), stream="asin", text=("reviewText", "summary"), time=("unixReviewTime", "reviewTime"), final=()
        ),
        Payload(time_format=("epoch_s", "%m %d, %Y"), html=True),
    ),
    "amazon-2023": Preset(
        "a review of Amazon Reviews 2023",
        "product",
        FieldPaths(
            id=(),
            stream=("parent_asin", "asin"),
            text=("text", "title"),
            time=("timestamp", "sort_timestamp"),
            final=(),
        ),
        Payload(time_format="epoch_ms", html=True),
    ),
    "yelp": Preset(
        "a review of the Yelp Open Dataset",
        "business",
        FieldPaths(id="review_id", stream="business_id", text="text", time="date", final=()),
    ),
    "reddit": Preset(
        "a comment or a submission of Reddit, by itself or within `data`; without removed ones",
        "subreddit",
        FieldPaths(
            id=("name", "id", "data.name", "data.id"),
            stream=("subreddit", "data.subreddit"),
            text=("body", "selftext", "title", "data.body", "data.selftext", "data.title"),
            time=("created_utc", "data.created_utc"),
            final=(),
        ),
        Payload(
            skip=(
                SkipRule(path=("body", "selftext", "title"), values=("[deleted]", "[removed]")),
                SkipRule(path=("data.body", "data.selftext", "data.title"), values=("[deleted]", "[removed]")),
            )
        ),
    ),
    "steam": Preset(
        "a review of Steam's appreviews",
        "app (appid, app_id), else the key",
        FieldPaths(
            id="recommendationid",
            stream=("appid", "app_id"),
            text="review",
            time=("timestamp_updated", "timestamp_created"),
            final=(),
        ),
        Payload(time_format="epoch_s"),
    ),
    "app-store": Preset(
        "a review of the App Store: an entry of its RSS feed, of App Store Connect, or of a scraper",
        "app (app_id), else the key",
        FieldPaths(
            id=("id.label", "data.id", "id"),
            stream=("app_id", "app_name"),
            text=("content.label", "data.attributes.body", "attributes.body", "review", "text", "title.label"),
            time=("updated.label", "data.attributes.createdDate", "attributes.createdDate", "date", "updated"),
            final=(),
        ),
    ),
    "google-play": Preset(
        "a review of Google Play: of its developer API, or of a scraper",
        "app (appId, app_id), else the key",
        FieldPaths(
            id=("reviewId", "id"),
            stream=("appId", "app_id"),
            text=("comments.*.userComment.text", "content", "text"),
            time=("comments.*.userComment.lastModified.seconds", "at", "date"),
            final=(),
        ),
    ),
    "debezium": Preset(
        "a change event of Debezium, with or without its schema, or the row alone, with the default fields; without "
        "deletes, truncates, messages, heartbeats, schema changes and null values",
        "the row's `stream`",
        FieldPaths(
            id=("payload.after.id", "after.id", "payload.id", "id"),
            stream=("payload.after.stream", "after.stream", "payload.stream", "stream"),
            text=("payload.after.text", "after.text", "payload.text", "text"),
            time=("payload.after.time", "after.time", "payload.source.ts_ms", "source.ts_ms", "payload.time", "time"),
            final=("payload.after.final", "after.final", "payload.final", "final"),
        ),
        Payload(
            key_format="payload",
            null_values="skip",
            skip=(
                SkipRule(path=("payload.op", "op"), values=("d", "t", "m")),
                # ExtractNewRecordState leaves the row alone, and marks those that were deleted.
                SkipRule(path=("payload.__deleted", "__deleted"), values=("true", True)),
                SkipRule(path=("payload.op", "op", "payload.text", "text"), missing=True),
            ),
        ),
    ),
}


def resolve(payload: Payload, fields: FieldPaths) -> tuple[Payload, FieldPaths]:
    """Both with the preset's settings where they have none of their own. The preset, if any, is one of PRESETS."""
    if payload.preset is None:
        return payload, fields
    preset = PRESETS[payload.preset]
    own = payload.model_dump(exclude_unset=True, include=set(Payload.model_fields) - {"skip"})
    skip = payload.skip if "skip" in payload.model_fields_set else preset.payload.skip
    return (
        preset.payload.model_copy(update=own | {"skip": skip}),
        preset.fields.model_copy(update=fields.model_dump(exclude_unset=True)),
    )


def payload_problems(payloads: Mapping[str, Payload], fields: Mapping[str, FieldPaths]) -> list[str]:
    """What does not fit together in the settings of the same names; empty if all does."""
    unknown = {topic: payload.preset for topic, payload in payloads.items() if payload.preset not in {None, *PRESETS}}
    problems = [
        f"payloads.{topic}: no preset {name!r}; there are {', '.join(PRESETS)}" for topic, name in unknown.items()
    ]
    for topic in payloads.keys() - unknown.keys():
        payload, _ = resolve(payloads[topic], fields.get(topic, FieldPaths()))
        if payload.format == "text" and topic in fields:
            problems.append(f"fields.{topic}: a record of format text has no fields")
        if payload.format == "text" and payload.skip:
            problems.append(f"payloads.{topic}: format text has no fields, and the preset skips by some")
    return problems


def examples(preset: str) -> list[bytes]:
    """The records of the preset's example file, one a line."""
    return (_EXAMPLES / f"{preset}.jsonl").read_bytes().splitlines()
