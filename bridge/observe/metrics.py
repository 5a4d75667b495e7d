"""Prometheus metrics of one process; labels are feeds, events, outcomes and partners, never patients or messages."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """All metrics, prefix `sdohbridge_`, in a registry of their own (so that two bridges fit in one process)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made = {"registry": self.registry}
        self.received = Counter("sdohbridge_messages_received", "messages stored", ["feed", "event"], **made)
        self.duplicates = Counter("sdohbridge_messages_duplicate", "resends answered from the ledger", ["feed"], **made)
        self.conflicts = Counter("sdohbridge_id_conflict", "same control id, other content", ["feed"], **made)
        self.outcomes = Counter("sdohbridge_messages_outcome", "finished messages", ["event", "outcome"], **made)
        self.decisions = Counter("sdohbridge_decisions", "consent decisions", ["recipient", "stage", "effect"], **made)
        self.deliveries = Counter("sdohbridge_deliveries", "deliveries by result", ["recipient", "kind", "state"], **made)
        self.batch = Histogram("sdohbridge_batch_size", "messages per commit", buckets=(1, 2, 5, 10, 20, 50, 100), **made)
        self.commit = Histogram("sdohbridge_commit_seconds", "one batch: map, decide, commit", buckets=SECONDS, **made)
        self.ledger = Gauge("sdohbridge_ledger_rows", "rows by kind and state", ["kind", "state"], **made)

    def count_rows(self, counts: dict[str, int]) -> None:
        """Set the ledger gauges from Ledger.counts(): `inbox.accepted` -> kind inbox, state accepted."""
        for name, value in counts.items():
            kind, _, state = name.partition(".")
            self.ledger.labels(kind, state).set(value)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self.registry)
