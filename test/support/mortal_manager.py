# SPDX-License-Identifier: Apache-2.0
"""The commands, with a manager that ends at its start as a file says: a code, or minus a signal.

The file is that in the variable ``MANAGER_END``. Each such end appends a line to ``<file>.ends``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from worker_pipeline import cli
from worker_pipeline.manager import process

_FILE = Path(os.environ['MANAGER_END'])
_run = process._Pipeline.run


def _run_or_end(*arguments: Any) -> int:
    if not _FILE.exists():
        return _run(*arguments)
    code = int(_FILE.read_text())
    with _FILE.with_suffix('.ends').open('a') as ends:
        ends.write(f'{time.monotonic()}\n')
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


process._Pipeline.run = _run_or_end  # type: ignore[assignment,method-assign]

if __name__ == '__main__':
    sys.exit(cli.main())
