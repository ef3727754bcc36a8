# SPDX-License-Identifier: Apache-2.0
"""A module that never finishes its import."""

import threading

threading.Event().wait()
