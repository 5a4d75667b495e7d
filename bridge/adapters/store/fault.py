"""Database faults as errors of ours, with the fault's class and code and never a value from a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, SQLAlchemyError

from bridge.core.errors import BridgeError, Refused, SettingsError, StoreUnavailable

_UPGRADE = "the ledger's schema is missing or older than this program: run `sdoh-bridge db upgrade`"
_SETTING = {
    "SQLITE_CANTOPEN": "the ledger's file cannot be opened: check the path and its permissions",
    "SQLITE_READONLY": "the ledger's file is read-only: check its permissions and those of its folder",
    "SQLITE_NOTADB": "the ledger's path is a file that is no SQLite database",
    "SQLITE_AUTH": "the ledger's file may not be used",
    "SQLITE_PERM": "the ledger's file may not be used",
    "42P01": _UPGRADE,
    "42703": _UPGRADE,
    "42501": "the database user lacks a permission on the ledger's tables",
    "3D000": "the ledger's database does not exist",
    "28000": "the database refuses this user",
    "28P01": "the database refuses this password",
}
"""What a person must repair, by sqlite_errorname or SQLSTATE; everything else may pass by itself."""


@contextmanager
def mapped() -> Iterator[None]:
    """Let nothing of SQLAlchemy or a driver out of the block.

    Raises SettingsError (a person must repair it), Refused (a value no database takes) or StoreUnavailable.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        fault = translate(error)
        _hush(error, str(fault))
        raise fault from None


def _hush(error: Exception, text: str) -> None:
    """Take a row's values out of the exception that Python keeps as context: PostgreSQL's DETAIL quotes them."""
    for one in (error, getattr(error, "orig", None)):
        if isinstance(one, Exception):
            one.args = (text,)


def translate(error: Exception) -> BridgeError:
    """The error of ours for one of SQLAlchemy or a driver."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = _code(cause)
    if "no such table" in str(cause) or "no such column" in str(cause):
        return SettingsError(_UPGRADE)
    for known, text in _SETTING.items():
        if code.startswith(known):
            return SettingsError(f"{text} ({code})")
    name = f"{type(cause).__name__} {code}".rstrip()
    if isinstance(error, IntegrityError | sqlite3.IntegrityError):
        return StoreUnavailable(f"another process wrote the same rows meanwhile ({name}); run it again", after=0.1)
    if isinstance(error, DataError | NotSupportedError | sqlite3.DataError | sqlite3.NotSupportedError):
        return Refused(f"the database takes no such value ({name})")
    return StoreUnavailable(f"the database refuses work for now ({name})")


def _code(cause: BaseException) -> str:
    """SQLITE_BUSY_SNAPSHOT and the like, or the SQLSTATE, or nothing."""
    return str(getattr(cause, "sqlite_errorname", "") or getattr(cause, "sqlstate", "") or "")
