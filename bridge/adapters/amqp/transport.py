"""The one module that knows pika: a connection on a thread of its own, kept open, its faults turned into ours.

pika's SelectConnection does all the work (BlockingConnection has no confirms in flight and goes away in pika 2). Every
callback runs on the connection's thread; `Link.call` is the only way in.
"""

from __future__ import annotations

import logging
import random
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pika
from pika import exceptions as fault
from pika.adapters.utils import connection_workflow as workflow
from pika.channel import Channel
from pika.exceptions import AMQPError

from bridge.adapters.amqp.faults import from_reply
from bridge.adapters.amqp.message import NONE, Delivered, Message
from bridge.core.errors import BridgeError, BrokerUnavailable, Refused, SettingsError

LOG = logging.getLogger("bridge.amqp")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how to log in.

    `url` is `amqp://user:password@host:5672/vhost` or `amqps://...`, several hosts separated by commas.
    `password_file` replaces the password and is read at every connect, so a rotated secret needs no restart.
    For amqps the server's certificate and name are always verified: against `ca_file`, else the system's authorities;
    `cert_file` and `key_file` are our own certificate. `heartbeat` and `blocked_timeout` are seconds.
    """

    url: str = field(repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    heartbeat: int = 10
    blocked_timeout: float = 30.0
    name: str = "sdoh-bridge"


def parameters(address: Address, role: str) -> list[pika.URLParameters]:
    """pika's parameters, one per host. Raises SettingsError without quoting the URL, which holds the password."""
    try:
        return [_one(address, url.strip(), role) for url in address.url.split(",")]
    except (ValueError, TypeError, IndexError):
        raise SettingsError("the AMQP URL is not of the form amqp://user:password@host:port/vhost") from None
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename or 'a certificate'}: {error.strerror or error}") from None


def _one(address: Address, url: str, role: str) -> pika.URLParameters:
    parts = urllib.parse.urlsplit(url)
    scheme = parts.scheme
    if scheme not in {"amqp", "amqps"} or not parts.hostname:
        raise ValueError
    if parts.username and parts.password is None:  # pika wants both, or neither
        url = url.replace("@", ":@", 1)
    made = pika.URLParameters(url)
    if address.password_file is not None:
        password = address.password_file.read_text(encoding="utf-8").strip()
        made.credentials = pika.PlainCredentials(made.credentials.username, password, erase_on_connect=True)
    if scheme == "amqps":
        context = ssl.create_default_context(cafile=address.ca_file)
        if address.cert_file is not None:
            context.load_cert_chain(address.cert_file, address.key_file)
        made.ssl_options = pika.SSLOptions(context, made.host)
    made.heartbeat = address.heartbeat
    made.blocked_connection_timeout = address.blocked_timeout
    made.client_properties = {"connection_name": f"{address.name} {role}"}
    return made


def properties(message: Message) -> pika.BasicProperties:
    """AMQP properties of a message: persistent, with its id, content type, type and headers."""
    return pika.BasicProperties(
        content_type=message.content_type or None, headers=dict(message.headers) or None, delivery_mode=2,
        message_id=message.message_id, type=message.type or None,
    )


def delivered(queue: str, method: Any, props: pika.BasicProperties, body: bytes) -> Delivered:
    """The value for a Basic.Deliver; short strings that are not UTF-8 come as bytes and are read as Latin-1."""
    headers = props.headers or NONE
    return Delivered(
        body, _text(props.message_id), _text(props.content_type), headers, _text(method.routing_key),
        method.redelivered, int(headers.get("x-delivery-count") or 0), queue, _text(props.type), _text(props.user_id),
        method.delivery_tag,
    )


def _text(value: str | bytes | None) -> str:
    if type(value) is str:
        return value
    return value.decode("latin-1") if isinstance(value, bytes) else ""


def from_fault(error: BaseException) -> BridgeError:
    """Our error for whatever pika, ssl or a socket raised; a BridgeError stays what it is."""
    error = _cause(error)
    if isinstance(error, BridgeError):
        return error
    if isinstance(error, fault.ConnectionClosed | fault.ChannelClosed):
        return from_reply(error.reply_code, error.reply_text, channel=isinstance(error, fault.ChannelClosed))
    if isinstance(error, fault.ProbableAuthenticationError | fault.ProbableAccessDeniedError):
        # pika keeps only the repr of the broker's Connection.Close; without one the socket just went.
        said = re.search(r"\((\d{3})\) (.*)", str(error.args[0]) if error.args else "")
        if said:
            return from_reply(int(said[1]), said[2].rstrip(")").strip("\"'"), channel=False)
        return BrokerUnavailable(f"the broker went away while we logged in ({type(error).__name__})")
    if isinstance(error, fault.AuthenticationError | ssl.SSLCertVerificationError):
        return SettingsError(f"login or certificate not accepted ({type(error).__name__})")
    if isinstance(error, _OURS):
        return Refused(f"the message or request cannot be put into AMQP ({type(error).__name__})")
    return BrokerUnavailable(f"no connection to the broker ({type(error).__name__})")


_OURS = (
    fault.UnroutableError, fault.NackError, fault.ShortStringTooLong, fault.UnsupportedAMQPFieldException,
    fault.MethodNotImplemented, fault.InvalidChannelNumber, fault.DuplicateConsumerTag, fault.DuplicateGetOkCallback,
    fault.ReentrancyError,
)


def _cause(error: BaseException) -> BaseException:
    """The innermost fault of pika's connection workflow, which wraps one exception per address tried."""
    while True:
        inner: Any = getattr(error, "exceptions", None) or (error.args if isinstance(error, AMQPError) else ())
        if isinstance(error, workflow.AMQPConnectorPhaseErrorBase):
            error = error.exception
        elif inner and isinstance(inner[-1], BaseException):
            error = inner[-1]
        else:
            return error


def pauses(jitter: Callable[[], float], first: float = 0.2, most: float = 5.0) -> Iterator[float]:
    """Seconds before each next attempt: doubling, capped, scattered by half so that a fleet does not return at once."""
    pause = first
    while True:
        yield pause * (0.5 + jitter() / 2)
        pause = min(most, pause * 2)


class Link:
    """One AMQP connection with one channel, on its own thread, opened again whenever it is lost.

    `setup(channel)` runs on every new channel and calls `ready()` when it is done; `lost(error)` runs once for every
    channel that had been handed to `setup`. Both run on the link's thread. Facts for health and metrics are plain
    attributes: `up`, `blocked`, `error` (the last fault, None when up), `reconnects`.
    """

    def __init__(self, address: Address, role: str, setup: Callable[[Channel], None],
                 lost: Callable[[BridgeError], None], jitter: Callable[[], float] = random.random) -> None:
        self.up = False
        self.blocked = False
        self.error: BridgeError | None = None
        self.reconnects = 0
        self._address, self._role, self._setup, self._lost, self._jitter = address, role, setup, lost, jitter
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._connection: pika.SelectConnection | None = None
        self._channel: Channel | None = None
        self._why: BridgeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"amqp {role}", daemon=True)
        parameters(address, role)
        quieten()
        self._thread.start()

    def wait(self, timeout: float) -> None:
        """Return when the link is up and not blocked; raises SettingsError or Refused at once when that is why it is
        down, else BrokerUnavailable after `timeout` seconds."""
        def settled() -> bool:
            usable = self.up and not self.blocked
            return usable or isinstance(self.error, SettingsError | Refused) or self._stop.is_set()

        with self._changed:
            self._changed.wait_for(settled, timeout)
            if self.up and not self.blocked:
                return
            if self.error is not None:
                raise type(self.error)(str(self.error))
            raise BrokerUnavailable("the broker has blocked us" if self.blocked else "no connection to the broker yet")

    def call(self, step: Callable[[], None]) -> bool:
        """Run `step` on the link's thread; False when there is no connection to run it on."""
        with self._changed:
            if self._connection is None:
                return False
            self._connection.ioloop.add_callback_threadsafe(step)
            return True

    def ready(self) -> None:
        """To be called by `setup` when the channel may be used."""
        with self._changed:
            self.up, self.error = True, None
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Give this connection up and open another; on the link's thread."""
        if self._connection is not None and not self._connection.is_closed:
            self._why = from_fault(error)
            abort(self._connection, self._why)

    def close(self, timeout: float = 5.0) -> None:
        """Close in order (the broker returns what is unacknowledged, consumers first: not for an ordered consumer)."""
        self._stop.set()
        self.call(self._close)
        self._thread.join(timeout)
        self.drop()

    def drop(self, timeout: float = 5.0) -> None:
        """Let the socket go and stop; the broker returns what we held, in order, before anyone else gets newer."""
        self._stop.set()
        self.call(lambda: self.fail(BrokerUnavailable("closed by us")))
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _close(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        else:
            self.fail(BrokerUnavailable("closed by us"))

    def _run(self) -> None:
        attempt, waits = 0, pauses(self._jitter)
        while not self._stop.is_set():
            was_up = self._connect(attempt)
            attempt += 1
            if was_up:
                waits = pauses(self._jitter)
            if not self._stop.wait(next(waits)):
                self.reconnects += 1

    def _connect(self, attempt: int) -> bool:
        """One connection from its opening to its end; tells whether it was ever up."""
        try:
            hosts = parameters(self._address, self._role)
            connection = pika.SelectConnection(
                hosts[attempt % len(hosts)], on_open_callback=self._on_open,
                on_open_error_callback=self._on_end, on_close_callback=self._on_end,
            )
        except SettingsError as error:
            self._down(error)
            return False
        with self._changed:
            self._connection = connection
        self._why = None
        self._turn(connection)
        was_up = self.up
        with self._changed:
            self._connection = None
        self._down(self._why or BrokerUnavailable("no connection to the broker"))
        connection.ioloop.close()
        return was_up

    def _turn(self, connection: pika.SelectConnection) -> None:
        """Run the loop to its end; a fault inside a callback ends the connection, not the thread."""
        for _ in range(2):
            try:
                connection.ioloop.start()
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, the remedy is a fresh connection
                # The type only: pika puts the frame, and so the patient, into the text of a protocol fault.
                LOG.error("amqp.callback_failed",  # noqa: TRY400
                          extra={"role": self._role, "type": type(error).__name__})
                self._why = from_fault(error)
                abort(connection, self._why)

    def _on_open(self, connection: pika.SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_end)
        self._setup(channel)

    def _on_channel_end(self, channel: Channel, error: BaseException) -> None:
        if channel.connection.is_open:  # else the channel ends because the connection does
            self.fail(error)

    def _on_end(self, connection: pika.SelectConnection, error: BaseException) -> None:
        # What we gave as the reason comes back in pika's wrapping; the first reason is the true one.
        self._why = self._why or from_fault(error)
        connection.ioloop.stop()

    def _block(self, blocked: bool) -> None:
        LOG.warning("amqp.blocked" if blocked else "amqp.unblocked", extra={"role": self._role})
        with self._changed:
            self.blocked = blocked
            self._changed.notify_all()

    def _down(self, error: BridgeError) -> None:
        LOG.log(logging.INFO if self._stop.is_set() else logging.WARNING, "amqp.down",
                extra={"role": self._role, "code": error.code, "why": str(error)})
        with self._changed:
            self.up = self.blocked = False
            self.error = error
            self._changed.notify_all()
        if self._channel is not None:
            self._channel = None
            self._lost(error)


def abort(connection: pika.SelectConnection, error: Exception) -> None:
    """Let the socket go without a word. pika has no public call for it: its own close() cancels consumers first, which
    lets newer messages overtake the ones we hold (RabbitMQ quorum queues with a single active consumer)."""
    connection._terminate_stream(error)  # noqa: SLF001


def quieten() -> None:
    """Silence pika's own log unless someone set its level: on a protocol fault it prints frames, and so patients."""
    log = logging.getLogger("pika")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL + 1)
