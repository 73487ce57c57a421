"""Who owns which partitions, and whether the states of their streams are safe."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.panels import INTERVAL, PanelBuilder, board, figure, increase, lines, mean, rate


def dashboard() -> Dashboard:
    """State and ownership."""
    return board(
        "ownership",
        "Sentiment: state and ownership",
        "Who owns the partitions, what Redis holds of their states, and what was lost or computed again.",
        [*_ownership(), *_redis(), *_resources()],
    )


def _ownership() -> list[PanelBuilder]:
    return [
        lines(
            "Partitions of each worker",
            "As even as the counts allow. Zero at one worker: more workers than partitions.",
            {"{{instance}}": "sentiment_owned_partitions"},
        ),
        lines(
            "Rebalances",
            "Assignments in the interval. Without a start or stop of a worker: one was away for session_timeout_s.",
            {"{{instance}}": f"increase(sentiment_rebalances_total[{INTERVAL}])"},
        ),
        lines(
            "Refused writes",
            "Partitions dropped because another worker owns them. Any: a worker was paused or starved of CPU. Nothing "
            "was written twice.",
            {"by {{by}}": increase("sentiment_fenced_total", "by")},
        ),
        lines(
            "Records rebuilt",
            "Applied to states again, without an event, after a take-over. It should fall back to zero.",
            {"records": rate("sentiment_rebuilt_records_total")},
            "suffix: /s",
        ),
        lines(
            "Streams begun anew",
            "By reason. Only `expired` is meant to happen; docs/operate.md says what the others mean.",
            {"{{reason}}": increase("sentiment_state_resets_total", "reason")},
        ),
        lines(
            "Logs and offsets that changed",
            "Topics created again or cut, and offsets that the group lost. Any: see who changed the topic.",
            {
                "{{change}}": increase("sentiment_log_changes_total", "change"),
                "offset gone": increase("sentiment_position_kept_total"),
            },
        ),
    ]


def _redis() -> list[PanelBuilder]:
    lookups = "sentiment_state_cache_total"
    hits = lookups + '{result="hit"}'
    return [
        figure(
            "States in memory",
            "In all workers. At max_cached_streams of each, more streams mean more reads of Redis.",
            "sum(sentiment_cached_streams)",
            width=6,
        ),
        figure(
            "Flush lag",
            "Committed records whose states are not yet in Redis. Growing: Redis is full, slow or away.",
            "sum(sentiment_flush_lag_records)",
            above=50_000,
            width=6,
        ),
        figure(
            "Time of a flush",
            "Mean of one write to Redis. Above 0.5 s: see SLOWLOG and the disk of Redis.",
            mean("sentiment_flush_seconds"),
            "s",
            above=0.5,
            width=6,
        ),
        figure(
            "Forgotten by Redis",
            "Flushes that found other states than were written last. Any: Redis lost data; see its persistence.",
            increase("sentiment_flush_lost_total"),
            above=1,
            width=6,
        ),
        lines(
            "State cache hits",
            "Share of the wanted states that were in the worker's memory. Low with CPU to spare: raise "
            "max_cached_streams.",
            {"hits": f"{rate(hits)} / {rate(lookups)}"},
            "percentunit",
        ),
        lines(
            "Flush lag of each worker",
            "Committed records whose states are not yet in Redis: what a crash would have computed again.",
            {"{{instance}}": "sentiment_flush_lag_records"},
        ),
    ]


def _resources() -> list[PanelBuilder]:
    return [
        lines(
            "CPU of each worker",
            "Cores in use. At one core a worker is full: add workers, or threads.",
            {"{{instance}}": f'rate(process_cpu_seconds_total{{job="sentiment"}}[{INTERVAL}])'},
        ),
    ]
