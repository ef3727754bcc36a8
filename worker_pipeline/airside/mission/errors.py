# SPDX-License-Identifier: Apache-2.0
"""Errors that end a mission."""

from __future__ import annotations


class MissionError(Exception):
    """The mission cannot be flown."""


class FlightFailedError(MissionError):
    """The flight has failed; with less load on the machine another one may succeed."""
