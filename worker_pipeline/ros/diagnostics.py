# SPDX-License-Identifier: Apache-2.0
"""Values of diagnostics messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import KeyValue


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    """Return a mapping as the values of a ``DiagnosticStatus``."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]
