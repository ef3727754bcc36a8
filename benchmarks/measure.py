# SPDX-License-Identifier: Apache-2.0
"""The measuring process: ``python -m benchmarks.measure BENCHMARK CONTENDER RESULT``."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from benchmarks.catalogue import BENCHMARKS
from benchmarks.processes import SHARED_MEMORY


def main() -> None:
    """Measure one contender of one benchmark, and write the samples to a file."""
    # Also if a shell has started this process in the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    benchmark, contender, result = sys.argv[1:]
    try:
        samples = BENCHMARKS[benchmark].contender(contender).measure()
        Path(result).write_text(json.dumps(samples))
    finally:
        # Shared memory mapped by this process, which the others could not remove when they exited.
        SHARED_MEMORY.note()
        SHARED_MEMORY.sweep()


if __name__ == '__main__':
    main()
