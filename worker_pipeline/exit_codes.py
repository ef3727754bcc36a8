# SPDX-License-Identifier: Apache-2.0
"""The exit codes that more than one module uses.

A permanent code means that another start would end in the same way, so nothing restarts a manager
that ends with one: neither systemd (``RestartPreventExitStatus``) nor a launch file's ``respawn``.
"""

from __future__ import annotations

from typing import Final

EXIT_CLEAN: Final = 0
EXIT_FAILED: Final = 1  # shut down with an error, or could not start for now
EXIT_BAD_CONFIGURATION: Final = 2  # nothing was started; another attempt would fail as well
EXIT_ALREADY_RUNNING: Final = 3  # another manager runs this pipeline; nothing was started
EXIT_STAGE_FAILED: Final = 70  # EX_SOFTWARE: a hook raised, or an item failed with restart_on_error
EXIT_INTERNAL_ERROR: Final = 71  # EX_OSERR
EXIT_ORPHANED: Final = 75  # EX_TEMPFAIL: a worker without a manager
EXIT_HANDED_OVER: Final = 76  # a manager that its guardian is to replace at once

PERMANENT: Final = frozenset({EXIT_BAD_CONFIGURATION, EXIT_ALREADY_RUNNING})


def is_permanent(code: int) -> bool:
    """Return whether a manager that ended with this exit code would end so again.

    All other ends are worth another start: any other code, and death by a signal, which is a
    negative code as in ``subprocess``. A clean end, 0, asks for none.
    """
    return code in PERMANENT
