"""What to say of an exception that nobody expected: where in our code, never what it was about."""

from __future__ import annotations

import traceback
from pathlib import Path

from bridge.core.issue import Issue

OURS = ("bridge", "connectors")


def fault_issue(error: BaseException) -> Issue:
    """An issue that names the exception's type and the innermost line of ours; its text may quote the message, so it
    stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next(((frame.filename, frame.lineno) for frame in reversed(frames)
                  if any(part in OURS for part in Path(frame.filename).parts)), ("", 0))
    where = f"{Path(place[0]).name}:{place[1]}" if place[0] else "outside"
    return Issue("fatal", "BRG-X500", "", f"a fault in the bridge: {type(error).__name__} at {where}",
                 "the message is kept: report the fault, then replay it", "exception")
