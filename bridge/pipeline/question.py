"""A question on the work list."""

from __future__ import annotations

from bridge.core.draft import Question
from bridge.core.rows import HeldItem, InboxRow
from bridge.pipeline.bridge import Bridge


def item(kind: str, question: Question, row: InboxRow, bridge: Bridge, programme: str = "") -> HeldItem:
    """One entry of the work list. `kind`: message, decision or code. The same question again has the same id."""
    subject = (question.table, question.system, question.code) if kind == "code" else (row.envelope.id, question.text, programme)
    return HeldItem(
        id=bridge.ids.uuid("held", kind, row.envelope.feed, *subject), kind=kind, message_id=row.envelope.id,
        feed=row.envelope.feed, question_kind=question.kind, text=question.text, opened=bridge.clock().isoformat(),
        table=question.table, system=question.system, code=question.code, where=question.where,
        choices=question.choices, programme=programme,
    )
