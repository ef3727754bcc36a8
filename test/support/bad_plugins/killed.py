# SPDX-License-Identifier: Apache-2.0
"""Is killed while it is imported, as by the kernel when memory is short."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
