"""Lag, transactions and rebalances: the worker as a member of its consumer group."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.panels import INTERVAL, PanelBuilder, board, figure, lines, mean, rate

_COMMITS = 'sentiment_stage_seconds_count{stage="commit"}'


def dashboard() -> Dashboard:
    """Kafka."""
    return board(
        "kafka",
        "Sentiment: Kafka",
        "What waits in the input topics, and what the transactions cost.",
        [*_lag(), *_transactions(), *_group()],
    )


def _lag() -> list[PanelBuilder]:
    return [
        lines(
            "Lag in records",
            "Not yet committed, by topic. If it grows, add workers, up to the number of partitions.",
            {"{{topic}}": "sum by (topic) (sentiment_lag_records)"},
        ),
        lines(
            "Age of the oldest record",
            "Of each worker's oldest record not yet committed. One worker alone: its CPU, or a hot stream.",
            {"{{instance}}": "sentiment_lag_seconds"},
            "s",
        ),
        lines(
            "The ten partitions with the most lag",
            "One far ahead of the others: a stream that is hot. It cannot be shared; see what its producer sends.",
            {"{{topic}} {{partition}}": "topk(10, sum by (topic, partition) (sentiment_lag_records))"},
        ),
        lines(
            "Time until the lag is gone",
            "At the rate of the interval. Longer than retention lasts: records will be lost; add workers.",
            {"all topics": f"sum(sentiment_lag_records) / {rate('sentiment_records_total')}"},
            "s",
        ),
    ]


def _transactions() -> list[PanelBuilder]:
    return [
        lines(
            "Transactions",
            "One for each micro-batch. Many and small ones cost the brokers: raise max_wait_ms.",
            {"{{instance}}": f"sum by (instance) (rate({_COMMITS}[{INTERVAL}]))"},
            "suffix: /s",
        ),
        lines(
            "Time of a commit",
            "From the first request to EndTxn. High on all workers: the brokers' disks or replicas; see them.",
            {f"p{100 * share:g}": _commit_quantile(share) for share in (0.5, 0.99)},
            "s",
        ),
        lines(
            "Records of a transaction",
            "Mean number scored together. Small while lag grows: the worker is held up elsewhere; see Overview.",
            {"records": mean("sentiment_batch_records")},
        ),
        lines(
            "Wait for a fuller micro-batch",
            "Mean, from its first record to its start. It is part of the latency: max_wait_ms bounds it.",
            {"wait": mean("sentiment_batch_wait_seconds")},
            "s",
        ),
    ]


def _group() -> list[PanelBuilder]:
    return [
        figure(
            "Rebalances in an hour",
            "Assignments to all workers. Without starts and stops there should be none: see session_timeout_s.",
            "sum(increase(sentiment_rebalances_total[1h]))",
            width=8,
        ),
        lines(
            "Fetched and not yet committed",
            "Of each worker; max_inflight_records bounds it. At the bound: scoring or committing is the bottleneck.",
            {"{{instance}}": "sentiment_inflight_records"},
        ),
        lines(
            "Bytes fetched and not yet committed",
            "Of each worker; max_inflight_bytes bounds it.",
            {"{{instance}}": "sentiment_inflight_bytes"},
            "bytes",
        ),
    ]


def _commit_quantile(share: float) -> str:
    buckets = f'sum by (le) (rate(sentiment_stage_seconds_bucket{{stage="commit"}}[{INTERVAL}]))'
    return f"histogram_quantile({share:g}, {buckets})"
