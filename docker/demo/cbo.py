"""A stand-in for a community organisation: takes its tasks and answers accepted, then completed.

usage: cbo.py PARTNER HOST[:PORT] PASSWORD_FILE
"""

from __future__ import annotations

import json
import sys
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pika


def answers(partner: str, delivery: str, bundle: dict[str, Any], now: datetime) -> Iterator[dict[str, Any]]:
    """Canonical intake records for each Task of a delivery that asks for something; a cancelled one is only noted."""
    tasks = [one["resource"] for one in bundle.get("entry", ()) if one["resource"]["resourceType"] == "Task"]
    for task in tasks:
        if task["status"] != "requested":
            continue
        steps = (
            ("status", {"status": "accepted", "source_status": "Taken on"}),
            ("outcome", {"status": "completed", "source_status": "Got help", "outcome_code": "need-met"}),
        )
        for seconds, (kind, said) in enumerate(steps):
            at = (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")
            yield {
                # The same delivery again gives the same record ids, so the bridge sees that it has them.
                "schema_version": "1.0", "record_id": f"{delivery}-{task['id']}-{said['status']}", "record_type": kind,
                "source_system": f"{partner}-stand-in", "source_record_id": f"{task['id']}-{said['status']}",
                "updated_at": at, "event_at": at, "cbo_org_id": partner,
                "bridge_referral_id": task["id"], "client_local_id": f"client-{task['id']}", **said,
            }


def connect(user: str, where: str, password_file: str) -> pika.BlockingConnection:
    """Log in as `user`; the password is read from its file at every start."""
    place = urllib.parse.urlsplit(f"//{where}")
    login = pika.PlainCredentials(user, Path(password_file).read_text().strip())
    vhost = urllib.parse.unquote(place.path[1:]) or "/"
    return pika.BlockingConnection(pika.ConnectionParameters(
        place.hostname, place.port or 5672, vhost, login, heartbeat=30, connection_attempts=20, retry_delay=2))


def main(partner: str, where: str, password_file: str) -> None:
    channel = connect(f"partner-{partner}", where, password_file).channel()
    channel.confirm_delivery()  # basic_publish raises unless the broker has stored the answer
    for method, properties, body in channel.consume(f"cbo.{partner}.tasks"):
        for record in answers(partner, properties.message_id, json.loads(body), datetime.now(UTC)):
            known = pika.BasicProperties(message_id=record["record_id"], content_type="application/json", delivery_mode=2)
            channel.basic_publish("in.intake", f"{partner}.intake", json.dumps(record).encode(), known, mandatory=True)
            sys.stdout.write(f"answered {record['status']}\n")
        channel.basic_ack(method.delivery_tag)  # only now: a crash before it answers again, under the same ids


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
