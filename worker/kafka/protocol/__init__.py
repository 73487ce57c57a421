"""Requests that aiokafka lacks, as requests of its own kind, and the error codes that decide what happens next.

    TxnOffsetCommit v3       the group's offsets in a transaction, fenced by the member's generation (KIP-447)
    OffsetFetch v7           the group's offsets, once no open transaction can move them any more (KIP-447)
    Metadata v12             the ids of topics: a topic that is deleted and created again has another one (KIP-516)
    ListTransactions v0      the transactions that a broker coordinates (KIP-664)
    DescribeTransactions v0  the state of a transactional id's transaction (KIP-664)

They are flexible versions: compact strings and arrays, and tagged fields at the end of every structure. Brokers have
the first two since 2.5, the last two since 3.0 and Metadata v12 since 3.1.
"""
