"""The exception tree. Exceptions mean broken; expected trouble is an Outcome or an Issue.

BridgeError
    SettingsError        BRG-S001  a setting or a file of ours is wrong; the text says which and what to do
    MappingError         BRG-M001  a mapping, programme row or consent rule does not compile
    Unreadable           BRG-H001  bytes from outside cannot be read as what they claim to be
    Transient            BRG-T001  a passing fault of something we depend on; the same call may work later
        StoreUnavailable     BRG-T002
        BrokerUnavailable    BRG-T003
    Refused              BRG-X001  the other side refused for good
"""

from __future__ import annotations

from bridge.core.issue import Issue


class BridgeError(Exception):
    """Root of everything this package raises on purpose; `code` is stable and never reused."""

    code = "BRG-0000"


class SettingsError(BridgeError):
    """A setting or one of our own files is wrong."""

    code = "BRG-S001"


class MappingError(BridgeError):
    """A mapping, programme row or consent rule does not compile; the text has file, line, column and excerpt."""

    code = "BRG-M001"


class Unreadable(BridgeError):
    """Bytes from outside cannot be read; `issue` says where and how to repair it, without quoting them."""

    code = "BRG-H001"

    def __init__(self, issue: Issue) -> None:
        super().__init__(str(issue))
        self.issue = issue


class Transient(BridgeError):
    """A passing fault; `after` is how many seconds to wait before the next attempt."""

    code = "BRG-T001"

    def __init__(self, text: str, after: float = 5.0) -> None:
        super().__init__(text)
        self.after = after


class StoreUnavailable(Transient):
    """The database cannot be reached or refuses work for now."""

    code = "BRG-T002"


class BrokerUnavailable(Transient):
    """The broker cannot be reached, blocks us or closed the connection."""

    code = "BRG-T003"


class Refused(BridgeError):
    """The other side refused for good."""

    code = "BRG-X001"
