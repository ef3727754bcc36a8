"""Why there is no mission."""

from __future__ import annotations


class MissionError(Exception):
    """The mission cannot be flown."""
