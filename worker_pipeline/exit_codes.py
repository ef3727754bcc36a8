# SPDX-License-Identifier: Apache-2.0
"""The exit codes that more than one module uses."""

EXIT_BAD_CONFIGURATION = 2  # nothing was started; another attempt would fail as well
EXIT_STAGE_FAILED = 70  # EX_SOFTWARE: a hook raised, or an item failed with restart_on_error
EXIT_INTERNAL_ERROR = 71  # EX_OSERR
EXIT_ORPHANED = 75  # EX_TEMPFAIL: a worker without a manager
