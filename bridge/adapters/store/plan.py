"""Frozen replays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from bridge.adapters.store.codec import dump, load, texts
from bridge.adapters.store.sql import insert, run_many
from bridge.adapters.store.tables import plans
from bridge.core.rows import Plan

_ROW = ("id", "created", "selection", "ids", "digest", "state", "mode", "cursor", "results")
_SAVE = insert("plans", _ROW, "ON CONFLICT (id) DO UPDATE SET state = excluded.state, mode = excluded.mode, "
                              "cursor = excluded.cursor, results = excluded.results")


def save(connection: Connection, plan: Plan) -> None:
    """Write a plan or its progress; what was frozen (selection, ids, digest) is never written again."""
    row = (plan.id, plan.created, plan.selection, dump(plan.ids), plan.digest, plan.state, plan.mode, plan.cursor,
           dump(plan.results))
    run_many(connection, _SAVE, [row])


def select_plans(connection: Connection, id_: str = "") -> list[Plan]:
    """One plan, or all of them in the order they were made."""
    query = select(*(plans.c[name] for name in _ROW)).order_by(plans.c.seq)
    return [_plan(*row) for row in connection.execute(query.where(plans.c.id == id_) if id_ else query)]


def _plan(
    id_: str, created: str, selection: str, ids: str, digest: str, state: str, mode: str, cursor: int, results: str,
) -> Plan:
    found: dict[str, Any] | None = load(results)
    return Plan(id_, created, selection, texts(ids), digest, state, mode, cursor, found)
