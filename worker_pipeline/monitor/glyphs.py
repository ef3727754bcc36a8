# SPDX-License-Identifier: Apache-2.0
"""The characters and the rich styles of the view.

Colour alone carries no information: every problem also has a mark.
"""

from __future__ import annotations

import attrs

from worker_pipeline.monitor.model import Level

MARKS = {Level.OK: ' ', Level.WARN: '!', Level.ERROR: 'x', Level.STALE: '?'}
STYLES = {Level.OK: 'green', Level.WARN: 'yellow', Level.ERROR: 'bold red', Level.STALE: 'magenta'}


@attrs.frozen
class Glyphs:
    """A set of characters that a terminal's encoding can show."""

    pointer: str
    full: str
    empty: str
    dots: str
    arrows: str


UNICODE = Glyphs('▸', '━', '─', '…', '↑ ↓')
ASCII = Glyphs('>', '#', '.', '~', 'arrows')
