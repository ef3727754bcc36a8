"""What the view is drawn with: signs, and styles of rich.

Nothing is said by a colour alone: what is not as it should be has a sign, too.
"""

from __future__ import annotations

import attrs

from worker_pipeline.monitor.model import Level

MARKS = {Level.OK: ' ', Level.WARN: '!', Level.ERROR: 'x', Level.STALE: '?'}
STYLES = {Level.OK: 'green', Level.WARN: 'yellow', Level.ERROR: 'bold red', Level.STALE: 'magenta'}


@attrs.frozen
class Signs:
    """What is drawn with, by what the terminal's encoding has."""

    pointer: str
    full: str
    empty: str
    dots: str
    arrows: str


BEAUTIFUL = Signs('▸', '━', '─', '…', '↑ ↓')
PLAIN = Signs('>', '#', '.', '~', 'arrows')
