"""Every fault of pika, ssl and the socket becomes one of ours."""

from __future__ import annotations

import inspect
import socket
import ssl
from pathlib import Path

import pytest
from pika import exceptions as fault
from pika.adapters.utils import connection_workflow as workflow

from bridge.adapters.amqp.faults import from_reply
from bridge.adapters.amqp.transport import Address, from_fault, parameters, pauses
from bridge.core.errors import BridgeError, BrokerUnavailable, Refused, SettingsError

ARGUMENTS = {
    "ConnectionClosed": (320, "CONNECTION_FORCED"),
    "ConnectionClosedByBroker": (320, "CONNECTION_FORCED"),
    "ConnectionClosedByClient": (200, "bye"),
    "ChannelClosed": (404, "NOT_FOUND"),
    "ChannelClosedByBroker": (404, "NOT_FOUND"),
    "ChannelClosedByClient": (200, "bye"),
    "UnroutableError": ([],),
    "NackError": ([],),
}
EXPECTED: dict[str, type[BridgeError]] = {
    "ChannelClosed": SettingsError,
    "ChannelClosedByBroker": SettingsError,
    "AuthenticationError": SettingsError,
    **dict.fromkeys(
        (
            "UnroutableError",
            "NackError",
            "ShortStringTooLong",
            "UnsupportedAMQPFieldException",
            "MethodNotImplemented",
            "InvalidChannelNumber",
            "DuplicateConsumerTag",
            "DuplicateGetOkCallback",
            "ReentrancyError",
        ),
        Refused,
    ),
}
PIKA = [kind for _, kind in inspect.getmembers(fault, inspect.isclass) if kind.__module__ == fault.__name__]


@pytest.mark.parametrize("kind", PIKA, ids=lambda kind: kind.__name__)
def test_each_exception_of_pika_is_mapped(kind: type[Exception]) -> None:
    """Whatever class pika raises arrives as exactly the error of ours that it means, never as pika's."""
    name = kind.__name__
    error = from_fault(kind(*ARGUMENTS.get(name, ("a",))))
    assert type(error) is EXPECTED.get(name, BrokerUnavailable)


@pytest.mark.parametrize(
    ("code", "text", "channel", "expected"),
    [
        (320, "CONNECTION_FORCED - broker forced connection closure", False, BrokerUnavailable),
        (541, "INTERNAL_ERROR - access to vhost 'a' refused: vhost 'a' is down", False, BrokerUnavailable),
        (403, "ACCESS_REFUSED - Login was refused", False, SettingsError),
        (530, "NOT_ALLOWED - vhost x not found", False, SettingsError),
        (
            530,
            "NOT_ALLOWED - access to vhost 'x' refused for user 'u': user connection limit (5) is reached",
            False,
            BrokerUnavailable,
        ),
        (403, "ACCESS_REFUSED - read access to queue", True, Refused),
        (404, "NOT_FOUND - no queue 'q' in vhost", True, SettingsError),
        (
            404,
            "NOT_FOUND - home node 'a' of durable queue 'q' in vhost '/' is down or inaccessible",
            True,
            BrokerUnavailable,
        ),
        (406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue", True, SettingsError),
        (
            406,
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms",
            True,
            BrokerUnavailable,
        ),
        (406, "PRECONDITION_FAILED - message size 200 is larger than configured max size 100", True, Refused),
        (406, "PRECONDITION_FAILED - user_id property set to 'a' but authenticated user was 'b'", True, Refused),
        (405, "RESOURCE_LOCKED", True, BrokerUnavailable),
        (506, "RESOURCE_ERROR", True, BrokerUnavailable),
        (504, "CHANNEL_ERROR", False, BrokerUnavailable),
    ],
)
def test_each_reply_code_means_one_thing(code: int, text: str, channel: bool, expected: type[BridgeError]) -> None:
    """Passing states are BrokerUnavailable, what a person must set right SettingsError, what stays refused Refused."""
    error = from_reply(code, text, channel=channel)
    assert type(error) is expected
    assert str(code) in str(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(), BrokerUnavailable),
        (socket.gaierror(), BrokerUnavailable),
        (TimeoutError(), BrokerUnavailable),
        (ssl.SSLError(), BrokerUnavailable),
        (ssl.SSLCertVerificationError(), SettingsError),
        (fault.ProbableAuthenticationError("ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - no'"), SettingsError),
        (fault.ProbableAuthenticationError("StreamLostError: gone"), BrokerUnavailable),
        (
            fault.ProbableAccessDeniedError("ConnectionClosedByBroker: (530) 'NOT_ALLOWED - vhost v not found'"),
            SettingsError,
        ),
        (SettingsError("ours"), SettingsError),
    ],
)
def test_wrapped_faults_are_found(error: Exception, expected: type[BridgeError]) -> None:
    """pika's connection workflow wraps the cause several times; the innermost one decides."""
    phase = workflow.AMQPConnectorAMQPHandshakeError(error)
    wrapped = fault.AMQPConnectionError(workflow.AMQPConnectionWorkflowFailed([TimeoutError(), phase]))
    assert type(from_fault(wrapped)) is expected
    assert type(from_fault(error)) is expected


@pytest.mark.parametrize("url", ["", "http://a", "amqp://", "amqp://u:hunter2@h:port/v", "amqps//u:hunter2@h"])
def test_a_bad_url_is_a_settings_error_without_the_password(url: str) -> None:
    """The error says what form is wanted and shows nothing of the URL."""
    with pytest.raises(SettingsError) as error:
        parameters(Address(url), "x")
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(Address(url))


def test_a_url_gives_what_it_says(tmp_path: Path) -> None:
    """Hosts, user, password from the file, virtual host, heartbeat and blocked timeout reach the connection."""
    secret = tmp_path / "secret"
    secret.write_text("p@ss\n")
    one, two = parameters(
        Address("amqp://u@a:1/v%2Fw, amqp://u:x@b", password_file=secret, heartbeat=7, blocked_timeout=3), "role"
    )
    assert (one.host, one.port, one.virtual_host, one.heartbeat, one.blocked_connection_timeout) == (
        "a",
        1,
        "v/w",
        7,
        3,
    )
    assert (two.host, two.port, two.virtual_host) == ("b", 5672, "/")
    assert {(each.credentials.username, each.credentials.password) for each in (one, two)} == {("u", "p@ss")}
    assert one.client_properties == {"connection_name": "sdoh-bridge role"}


def test_amqps_verifies_the_peer() -> None:
    """TLS always checks the certificate and the name."""
    (made,) = parameters(Address("amqps://u:p@broker.example/"), "role")
    assert made.ssl_options is not None
    assert made.ssl_options.context.verify_mode is ssl.CERT_REQUIRED
    assert made.ssl_options.context.check_hostname
    assert (made.ssl_options.server_hostname, made.port) == ("broker.example", 5671)


def test_a_missing_file_is_a_settings_error(tmp_path: Path) -> None:
    """A password or authority file that cannot be read is named."""
    for address in (
        Address("amqp://u:p@h/", password_file=tmp_path / "none"),
        Address("amqps://u:p@h/", ca_file=tmp_path / "none"),
    ):
        with pytest.raises(SettingsError, match="cannot read"):
            parameters(address, "x")


def test_pauses_double_to_a_limit_and_are_scattered() -> None:
    """Reconnecting waits longer each time, never beyond the cap, and two clients do not wait the same."""
    low, high = pauses(lambda: 0.0), pauses(lambda: 1.0)
    lows, highs = [next(low) for _ in range(9)], [next(high) for _ in range(9)]
    assert lows[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert highs[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert (lows[-1], highs[-1]) == (2.5, 5.0)
