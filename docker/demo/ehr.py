"""A stand-in for a hospital's integration engine: publishes example messages once, then reads what comes home.

usage: ehr.py FACILITY HOST[:PORT] PASSWORD_FILE [PATTERN...]     the patterns choose files of mappings/examples/day
"""

from __future__ import annotations

import hashlib
import json
import sys
import urllib.parse
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pika

HL7V2, FHIR = "x-application/hl7-v2+er7", "application/fhir+json"


def outgoing(facility: str, patterns: list[str]) -> Iterator[tuple[str, str, str, bytes]]:
    """(exchange, routing key, content type, body) of each example message, in the order of the file names."""
    folder = Path(str(files("mappings"))) / "examples" / "day"
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        if path.suffix == ".hl7":
            yield "in.adt", f"adt.{facility}.message", HL7V2, path.read_bytes()
        else:
            for line in path.read_bytes().splitlines():
                yield "in.ehr", f"{facility}.{json.loads(line)['resourceType'].lower()}", FHIR, line


def summary(content_type: str, body: bytes) -> str:
    """What came, without a word about the patient: message type, or resource types with the Task's status."""
    if content_type == HL7V2:
        return body.split(b"\r", 1)[0].decode().split("|")[8]
    resources = [entry["resource"] for entry in json.loads(body).get("entry", ())]
    return ", ".join(one["resourceType"] + (f" {one['status']}" if one["resourceType"] == "Task" else "") for one in resources)


def connect(user: str, where: str, password_file: str) -> pika.BlockingConnection:
    """Log in as `user`; the password is read from its file at every start."""
    place = urllib.parse.urlsplit(f"//{where}")
    login = pika.PlainCredentials(user, Path(password_file).read_text().strip())
    vhost = urllib.parse.unquote(place.path[1:]) or "/"
    return pika.BlockingConnection(pika.ConnectionParameters(
        place.hostname, place.port or 5672, vhost, login, heartbeat=30, connection_attempts=20, retry_delay=2))


def main(facility: str, where: str, password_file: str, *patterns: str) -> None:
    channel = connect(f"engine-{facility}", where, password_file).channel()
    channel.confirm_delivery()  # basic_publish raises unless the broker has stored the message
    for exchange, key, kind, body in outgoing(facility, list(patterns)):
        # The digest as message id: a second run of the demo sends messages that the bridge knows.
        known = pika.BasicProperties(message_id=hashlib.sha256(body).hexdigest(), content_type=kind, delivery_mode=2)
        channel.basic_publish(exchange, key, body, known, mandatory=True)
        sys.stdout.write(f"published {key}\n")
    for method, properties, body in channel.consume(f"ehr.{facility}.in"):
        sys.stdout.write(f"received {properties.headers.get('kind', '')}: {summary(properties.content_type, body)}\n")
        channel.basic_ack(method.delivery_tag)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
