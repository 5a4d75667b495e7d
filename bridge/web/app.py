"""Liveness, readiness and metrics over HTTP; nothing of a patient is served here."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.observe.metrics import Metrics

Fact = tuple[str, bool, str]
"""(what was looked at, whether it is well, a detail without patient values)."""


def build(metrics: Metrics, alive: Callable[[], list[Fact]], ready: Callable[[], list[Fact]],
          count_rows: Callable[[], dict[str, int]]) -> Starlette:
    """The application: `/health/live` (the loops turn), `/health/ready` (work can be done), `/metrics`.

    A broker or database outage makes us unready, never dead: a restart would not help (reliability.md 11).
    """

    def health(facts: Callable[[], list[Fact]]) -> Callable[[Request], Response]:
        def answer(_: Request) -> Response:
            found = facts()
            well = all(fine for _, fine, _ in found)
            body = {"status": "pass" if well else "fail",
                    "checks": [{"name": name, "ok": fine, "detail": detail} for name, fine, detail in found]}
            return JSONResponse(body, status_code=200 if well else 503)

        return answer

    def scrape(_: Request) -> Response:
        metrics.count_rows(count_rows())
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[
        Route("/health/live", health(alive)),
        Route("/health/ready", health(ready)),
        Route("/metrics", scrape),
    ])
