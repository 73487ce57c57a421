"""What the network says, and whether its texts are still such as it knows."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.panels import INTERVAL, PanelBuilder, board, buckets, figure, lines, mean, quantile, rate

_CONFIDENCE, _UNKNOWN = "sentiment_confidence", "sentiment_unknown_token_ratio"
_NOT_UNDERSTOOD, _LANGUAGES = "sentiment_not_understood_total", "sentiment_languages_total"
_SCORING = 'sentiment_stage_seconds_sum{stage="score"}'
_USUAL = "7d"  # what the last values are compared with


def dashboard() -> Dashboard:
    """Model."""
    return board(
        "model",
        "Sentiment: model",
        "Scores, confidence, unknown words and languages, now and over the last week: apart for long, it is drift.",
        [*_now(), *_distributions(), *_drift(), *_cost(), *_languages()],
    )


def _now() -> list[PanelBuilder]:
    return [
        figure(
            "Checkpoints in use",
            "One, except during a change of the model. More for long: finish the change or take it back.",
            "count(count by (fingerprint) (sentiment_model_info))",
            above=2,
            width=6,
        ),
        figure(
            "Balance",
            "Share of positive events less that of negative ones. Compare with last week below before you believe it.",
            _balance(),
            width=6,
        ),
        figure(
            "Confidence, mean",
            "Calibrated probability of the label. Falling: texts of another kind, or another language.",
            mean(_CONFIDENCE),
            "percentunit",
            width=6,
        ),
        figure(
            "Unknown words",
            "Mean share of a text's tokens that the vocabulary lacks. Above a fifth: not the language or the kind of "
            "text that the network learned.",
            mean(_UNKNOWN),
            "percentunit",
            above=0.2,
            width=6,
        ),
    ]


def _distributions() -> list[PanelBuilder]:
    return [
        buckets(
            "Scores",
            "Committed events by score. All in the middle: the texts say nothing to the network.",
            "sentiment_score",
        ),
        buckets(
            "Confidence", "Committed events by confidence. All low: see Unknown words.", _CONFIDENCE, "percentunit"
        ),
        buckets("Unknown words", "Events by the share of unknown tokens. Much above 0.5: look at texts.", _UNKNOWN),
    ]


def _drift() -> list[PanelBuilder]:
    return [
        lines(
            "Balance, now and usually",
            "Positive less negative, in the interval and the last week. Apart for hours with equal topics: read some "
            "texts.",
            {"now": _balance(), "last week": _balance(_USUAL)},
            least=None,
        ),
        lines(
            "Confidence, now and usually",
            "Median and mean of the interval, mean of the last week. Falling: label some texts and evaluate.",
            {
                "median": quantile(0.5, _CONFIDENCE),
                "mean": mean(_CONFIDENCE),
                "mean of last week": mean(_CONFIDENCE, interval=_USUAL),
            },
            "percentunit",
        ),
        lines(
            "Unknown words, now and usually",
            "Mean share of the interval and of the last week. Rising: new words or another language.",
            {"now": mean(_UNKNOWN), "last week": mean(_UNKNOWN, interval=_USUAL)},
            "percentunit",
        ),
        lines(
            "Labels",
            "Share of each label in the events. A jump for all topics at once: a new checkpoint, or another producer.",
            {"{{label}}": f"{rate('sentiment_events_total', 'label')} / scalar({rate('sentiment_events_total')})"},
            "percentunit",
            stacked=True,
        ),
    ]


def _cost() -> list[PanelBuilder]:
    return [
        lines(
            "Time of scoring, for each record",
            "Of the network alone. `sentiment capacity` says what to expect; int8 is faster.",
            {"record": f"{rate(_SCORING)} / {rate('sentiment_records_total')}"},
            "s",
        ),
        lines(
            "Checkpoint of each worker",
            "Workers by the checkpoint that they serve.",
            {"{{name}} {{fingerprint}}": "count by (name, fingerprint) (sentiment_model_info)"},
        ),
    ]


def _languages() -> list[PanelBuilder]:
    return [
        lines(
            "Not understood, by reason",
            "Share of the events whose text the network does not understand. language: one that it does not read, see "
            "Languages; unknown_tokens: words that it does not know. High: see the setting not_understood.",
            {"{{reason}}": f"{rate(_NOT_UNDERSTOOD, 'reason')} / scalar({rate('sentiment_events_total')})"},
            "percentunit",
            stacked=True,
        ),
        lines(
            "Not understood, now and usually",
            "Share of the interval and of the last week. Rising: a producer writes in another language, or of other "
            "things.",
            {"now": _share_not_understood(), "last week": _share_not_understood(_USUAL)},
            "percentunit",
        ),
        lines(
            "Languages",
            "Share of each language in the events; und: nothing tells it. If one grows that the checkpoint does not "
            "read (label languages of sentiment_model_info), do not rely on its events.",
            {"{{language}}": f"{rate(_LANGUAGES, 'language')} / scalar({rate('sentiment_events_total')})"},
            "percentunit",
            stacked=True,
        ),
    ]


def _share_not_understood(interval: str = INTERVAL) -> str:
    not_understood, events = (
        f"sum(rate({metric}[{interval}]))" for metric in (_NOT_UNDERSTOOD, "sentiment_events_total")
    )
    return f"{not_understood} / {events}"


def _balance(interval: str = INTERVAL) -> str:
    events = "sentiment_events_total"
    positive, negative = (f'sum(rate({events}{{label="{label}"}}[{interval}]))' for label in ("positive", "negative"))
    return f"({positive} - {negative}) / sum(rate({events}[{interval}]))"
