"""What a fault at the broker means for us: reply codes and refusals as errors of our own tree.

Knows AMQP reply codes (AMQP 0-9-1 section 1.8, RabbitMQ's texts for them), nothing of the client library.
"""

from __future__ import annotations

from bridge.core.errors import BridgeError, BrokerUnavailable, Refused, SettingsError

_CONNECTION: dict[int, type[BridgeError]] = {402: SettingsError, 403: SettingsError, 530: SettingsError}
_CHANNEL: dict[int, type[BridgeError]] = {
    311: Refused,  # content too large
    312: Refused,  # no route
    403: Refused,  # this user may not do this here
    404: SettingsError,  # no such exchange or queue
    406: Refused,  # precondition failed
    501: Refused, 502: Refused, 503: Refused, 530: Refused, 540: Refused,
}
_HINTS = {
    403: "check the user's password and permissions (sdoh-bridge topology show)",
    404: "declare it with sdoh-bridge topology apply",
    530: "check the virtual host and the user's limits",
}
_PASSING = ("timed out", "limit", "home node", "is down", "shutting down")
"""RabbitMQ's words for a state that goes by itself: consumer_timeout (406), a user's connection limit (530), a queue
whose node is away (404), a virtual host that is not up yet (530, 541)."""


def from_reply(code: int, text: str, *, channel: bool) -> BridgeError:
    """The error for a Connection.Close or, with `channel`, a Channel.Close of the broker.

    BrokerUnavailable for what passes, SettingsError for what a person must set right (login, virtual host, a missing or
    a different exchange or queue), Refused for what the broker will not accept from us again. `text` names exchanges,
    queues and users only.
    """
    where = "channel" if channel else "connection"
    said = f"the broker closed the {where}: {code} {text[:400]}"
    if any(words in text for words in _PASSING):
        return BrokerUnavailable(said)
    if code == 406 and "inequivalent" in text:
        return SettingsError(f"{said}; the broker's copy differs: delete it when it is empty, then apply again")
    kind = (_CHANNEL if channel else _CONNECTION).get(code, BrokerUnavailable)
    hint = f"; {_HINTS[code]}" if code in _HINTS else ""
    return kind(said + hint)
