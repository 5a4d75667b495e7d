"""Hot statements are the same for both databases and never walk through a table."""

from __future__ import annotations

import pytest

from bridge.adapters.store import desk, hold, inbox, outbox, shelf, work
from bridge.adapters.store.ledger import open_ledger
from bridge.adapters.store.sql import delete, insert, speak, update

HOT = {
    "inbox known": inbox._KNOWN, "inbox by id": inbox._BY_ID, "inbox attempt": inbox._ATTEMPT, "inbox finish": work._FINISH.each,
    "inbox pending": inbox._PENDING, "inbox unfinished": inbox._UNFINISHED_OF, "inbox outputs": inbox._OUTPUTS, "outbox waiting": outbox._WAITING + outbox._OLDEST, "outbox settle": outbox._SETTLE.each,
    "resources by ref": shelf._BY_REF, "resources of types": shelf._OF_TYPES, "resources by name": shelf._BY_NAME,
    "resources change": shelf._CHANGE.each, "persons": work._PERSONS, "referrals of patients": desk._OF_PATIENTS,
    "referrals by name": desk._BY_NAME, "referrals aside": desk._ASIDE, "held": hold._FIND, "held again": hold._AGAIN.each,
}


@pytest.fixture(scope="module")
def connection():
    """A connection to an empty memory ledger."""
    ledger = open_ledger("sqlite://")
    ledger.upgrade()
    with ledger._connections.read() as connection:
        yield connection
    ledger.close()


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_uses_an_index(connection, name: str) -> None:
    """No plan scans a table but through an index, however large the ledger grows."""
    sql = speak(HOT[name], "sqlite")
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * sql.count("?")).all()
    scans = [row[3] for row in plan if row[3].startswith("SCAN") and "json_each" not in row[3] and "INDEX" not in row[3]]
    assert scans == []


def test_a_statement_is_spoken_in_both_tongues() -> None:
    """Values, lists and pairs have each database's own words; the rest of the text is the same."""
    sql = "SELECT a FROM t WHERE b = ? AND c IN LIST AND (d, e) IN PAIRS"
    assert speak(sql, "sqlite").count("?") == 3
    assert speak(sql, "postgresql") == (
        "SELECT a FROM t WHERE b = %s AND c = ANY(%b::text[]) AND (d, e) IN (SELECT * FROM unnest(%b::text[], %b::text[]))")


def test_a_change_of_many_rows_is_written_for_both() -> None:
    """Rows one by one for SQLite, typed arrays for PostgreSQL, in the order given where rows are numbered."""
    assert insert("envelopes", ("seq", "body"), "ON CONFLICT DO NOTHING") == (
        "INSERT INTO envelopes (seq, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
        "INSERT INTO envelopes (seq, body) SELECT c0, c1 FROM unnest(%b::bigint[], %b::bytea[]) AS r(c0, c1) ON CONFLICT DO NOTHING")
    assert insert("outbox", ("id",)).all == (
        "INSERT INTO outbox (id) SELECT c0 FROM unnest(%b::text[]) WITH ORDINALITY AS r(c0, place) ORDER BY place")
    assert update("outbox", ("state",), ("id",), added=("attempts",)) == (
        "UPDATE outbox SET state = ?, attempts = attempts + ? WHERE id = ?",
        ("UPDATE outbox t SET state = r.c0, attempts = t.attempts + r.c1 FROM unnest(%b::text[], %b::bigint[], %b::text[]) "
         "AS r(c0, c1, c2) WHERE t.id = r.c2"))
    assert delete("people", ("ref", "family")) == (
        "DELETE FROM people WHERE ref = ? AND family = ?",
        "DELETE FROM people WHERE (ref, family) IN (SELECT * FROM unnest(%b::text[], %b::text[]))")
