"""Structured logs: JSON lines on stderr, one canonical event per message, keys from an allow-list."""

from __future__ import annotations

import logging
import sys
from typing import IO, Any

import structlog

ALLOWED = frozenset("""
    event level timestamp role message feed trigger outcome issues mapping version resources referrals released
    withheld questions key delivery recipient kind state error code where count attempts seconds rate batch shard
    exchange queue reason port listen steps plan mode programme url_scheme table
""".split())
"""The only keys that reach a sink; anything else is dropped and counted in `dropped`, so a new key is a decision."""


def allow(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keep allow-listed keys with plain values; exceptions are named by type, their text is never written."""
    kept = {key: value for key, value in event.items() if key in ALLOWED and isinstance(value, (str, int, float, list, tuple))}
    if dropped := len(event) - len(kept):
        kept["dropped"] = dropped
    return kept


class _Stderr:
    """Standard error as it is when something is written: a caller may have put another file in its place since."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(stream: IO[str] | None = None, level: str = "info") -> None:
    """Set logging up once, at start. Libraries' own loggers are kept at warning and without their arguments."""
    sink: Any = stream or _Stderr()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allow,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sink),
        cache_logger_on_first_use=False,
    )
    library = logging.StreamHandler(sink)
    library.setFormatter(_LibraryLine())
    logging.basicConfig(handlers=[library], level=logging.WARNING, force=True)


class _LibraryLine(logging.Formatter):
    """A library's record as a JSON line with logger and place only: its text may quote what it was given."""

    def format(self, record: logging.LogRecord) -> str:
        return f'{{"event": "library", "level": "{record.levelname.lower()}", "where": "{record.name}:{record.lineno}"}}'


def logger() -> Any:
    """The bound logger; call it where it is used, so that nothing is configured at import."""
    return structlog.get_logger()
