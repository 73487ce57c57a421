"""The dashboard to begin with: is everything read, in time, and with what result?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.panels import PanelBuilder, board, buckets, figure, lines, mean, quantile, rate

_END_TO_END = "sentiment_end_to_end_seconds"


def dashboard() -> Dashboard:
    """Overview."""
    return board(
        "overview",
        "Sentiment: overview",
        "Start here when an alert fires; docs/operate.md has a runbook for each.",
        [*_now(), *_flow(), *_causes(), *_results()],
    )


def _now() -> list[PanelBuilder]:
    return [
        figure(
            "Workers ready",
            "Workers whose /ready says yes. Fewer than run: /ready of the missing one names what it waits for.",
            "sum(sentiment_ready)",
            below=1,
        ),
        figure(
            "Partitions owned",
            "Should equal the partitions of the input topics. Fewer for long: see the logs of the workers.",
            "sum(sentiment_owned_partitions)",
            below=1,
        ),
        figure(
            "Records",
            "Input records done. None while there is lag: see Workers ready.",
            rate("sentiment_records_total"),
            "suffix: /s",
        ),
        figure(
            "End to end, p99",
            "From a record's timestamp in Kafka to its committed event. High without lag: see Time of each step.",
            quantile(0.99, _END_TO_END),
            "s",
            above=1,
        ),
        figure(
            "Oldest record waiting",
            "Age of the oldest record not yet committed. If it grows, add workers, up to the number of partitions.",
            "max(sentiment_lag_seconds)",
            "s",
            above=60,
        ),
        figure(
            "Since last progress",
            "Of the worker that went round longest ago. Above a minute it is not live: restart it.",
            "max(time() - sentiment_last_progress_timestamp_seconds)",
            "s",
            above=60,
        ),
    ]


def _flow() -> list[PanelBuilder]:
    return [
        lines(
            "Throughput by outcome",
            "Input records done. Dead letters: see their reasons below.",
            {"{{outcome}}": rate("sentiment_records_total", "outcome")},
            "suffix: /s",
            stacked=True,
        ),
        lines(
            "Events by label",
            "Sentiment events committed. One label that takes over for all streams at once: see the dashboard Model.",
            {"{{label}}": rate("sentiment_events_total", "label")},
            "suffix: /s",
            stacked=True,
        ),
        lines(
            "End to end",
            "From a record's timestamp in Kafka to its committed event; the objective is one second. With traces on, a "
            "point is the trace of one record.",
            {"p50": quantile(0.5, _END_TO_END), "p99": quantile(0.99, _END_TO_END)},
            "s",
            exemplars=True,
        ),
    ]


def _causes() -> list[PanelBuilder]:
    return [
        lines(
            "Time of each step",
            "Mean for a micro-batch; a flush is one write to Redis. High: score, give CPU; commit, see Kafka; load or "
            "flush, see Redis.",
            {
                "{{stage}}": mean("sentiment_stage_seconds", "stage"),
                "flush": mean("sentiment_flush_seconds"),
            },
            "s",
        ),
        lines(
            "Lag",
            "Records not yet committed. If it grows, add workers, up to the number of partitions.",
            {"{{topic}}": "sum by (topic) (sentiment_lag_records)"},
        ),
        lines(
            "Dead letters and fallbacks",
            "Records that could not be scored, by reason, and fields that could not be used, by what stands in. "
            "`sentiment deadletters list` shows the records.",
            {
                "{{reason}}": rate("sentiment_dead_letters_total", "reason"),
                "{{fallback}}": rate("sentiment_fallbacks_total", "fallback"),
            },
            "suffix: /s",
        ),
    ]


def _results() -> list[PanelBuilder]:
    return [
        buckets(
            "Scores",
            "Committed events by score. A distribution that moves for all streams at once is drift: see Model.",
            "sentiment_score",
        ),
        lines(
            "Mood shifts",
            "Shift events a minute. Many at once: one event in the world, or a producer that changed its texts.",
            {"shifts": f"60 * {rate('sentiment_shifts_total')}"},
        ),
        lines(
            "Memory of each worker",
            "Resident memory; 350 MB and 2 KB for each cached stream. Near its limit: lower max_cached_streams.",
            {"{{instance}}": 'process_resident_memory_bytes{job="sentiment"}'},
            "bytes",
        ),
        figure(
            "Spans dropped in an hour",
            "With traces on. Nothing else is affected: see the receiver of traces, or sample fewer traces.",
            "sum(increase(sentiment_spans_dropped_total[1h]))",
            above=1,
            width=24,
        ),
    ]
