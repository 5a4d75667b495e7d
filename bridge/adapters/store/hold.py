"""The work list, and the answers that people gave to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from bridge.adapters.store.codec import dump, keyed, plain, texts
from bridge.adapters.store.sql import insert, run, run_many, update
from bridge.adapters.store.tables import answers, held
from bridge.core.rows import HeldItem

STATES = frozenset(("open", "answered", "released", "discarded"))

_ROW = ("id", "kind", "message_id", "feed", "question_kind", "text", "opened", "code_table", "system", "code", "place",
        "choices", "programme", "state", "answer", "answered_by", "count")
_COLUMNS = ", ".join(_ROW)
_FIND = f"""
SELECT {_COLUMNS} FROM held WHERE id = ?
UNION ALL SELECT {_COLUMNS} FROM held
WHERE kind = 'code' AND state = 'open' AND feed = ? AND code_table = ? AND system = ? AND code = ? AND id <> ?
"""
_INSERT = insert("held", _ROW, "ON CONFLICT (feed, code_table, system, code) WHERE kind = 'code' AND state = 'open' "
                               "DO UPDATE SET count = held.count + excluded.count")
_AGAIN = update("held", ("state", "answer", "answered_by"), ("id",), added=("count",))
_ANSWER = insert("answers", ("feed", "code_table", "system", "code", "target", "answered_by"),
                 "ON CONFLICT (feed, code_table, system, code) "
                 "DO UPDATE SET target = excluded.target, answered_by = excluded.answered_by")


def row(item: HeldItem) -> tuple[Any, ...]:
    """The columns of an entry. Raises ValueError for a state that is none."""
    if item.state not in STATES:
        raise ValueError(f"an entry of the work list is {', '.join(sorted(STATES))}")
    return (
        item.id, item.kind, item.message_id, item.feed, item.question_kind, item.text, item.opened, *question(item)[1:],
        item.where, dump(item.choices), item.programme, item.state, item.answer, item.answered_by, item.count,
    )


def question(item: HeldItem) -> tuple[str, str, str, str]:
    """What makes two open code questions the same one: feed, table, system, code."""
    return plain(item.feed), plain(item.table), keyed(item.system), keyed(item.code)


def look_up(connection: Connection, item: HeldItem) -> list[HeldItem]:
    """The entry with this id and the open code question that asks the same, when they are there."""
    key = question(item) if item.kind == "code" else ("", "", "", "")
    return [_item(*row) for row in run(connection, _FIND, item.id, *key, item.id)]


def flush(connection: Connection, fresh: Iterable[HeldItem], again: Iterable[tuple[Any, ...]]) -> None:
    """File new entries; then raise counts and open again (state, answer, by, count to add, id)."""
    run_many(connection, _INSERT, [row(item) for item in fresh])
    run_many(connection, _AGAIN, sorted(again, key=lambda one: str(one[-1])))


def select_held(connection: Connection, state: str) -> list[HeldItem]:
    """Entries in this state ("" means all), oldest first."""
    query = select(*(held.c[name] for name in _ROW)).order_by(held.c.seq)
    return [_item(*row) for row in connection.execute(query.where(held.c.state == state) if state else query)]


def move(connection: Connection, id_: str, state: str, answer: str, by: str) -> HeldItem | None:
    """Move an entry; an empty answer or name leaves what was written before. None when there is no such entry.

    Raises ValueError for a state that is none, and when opening would make two open questions that ask the same.
    """
    if state not in STATES:
        raise ValueError(f"an entry of the work list is {', '.join(sorted(STATES))}")
    change: dict[str, Any] = {"state": state}
    change |= {name: plain(value) for name, value in (("answer", answer), ("answered_by", by)) if value}
    statement = held.update().where(held.c.id == id_).values(change).returning(*(held.c[name] for name in _ROW))
    try:
        row = connection.execute(statement).first()
    except IntegrityError:
        row = ()  # type: ignore[assignment]
    if row == ():
        raise ValueError("another open question asks for the same code: answer that one")
    return _item(*row) if row else None


def save_answer(connection: Connection, *values: str) -> None:
    """Feed, table, system, code, target, by: from now on this code has this target; a later answer replaces it."""
    feed, table, system, code, target, by = values
    run_many(connection, _ANSWER, [(feed, table, keyed(system), keyed(code), target, by)])


def select_answers(connection: Connection) -> dict[tuple[str, str, str, str], str]:
    """Target code by (feed, table, system, code)."""
    columns = answers.c
    query = select(columns.feed, columns.code_table, columns.system, columns.code, columns.target)
    return {(feed, table, system, code): target for feed, table, system, code, target in connection.execute(query)}


def _item(
    id_: str, kind: str, message_id: str, feed: str, question_kind: str, text: str, opened: str, table: str,
    system: str, code: str, where: str, choices: str, programme: str, state: str, answer: str, answered_by: str,
    count: int,
) -> HeldItem:
    return HeldItem(
        id_, kind, message_id, feed, question_kind, text, opened, table, system, code, where, texts(choices), programme,
        state, answer, answered_by, count,
    )
