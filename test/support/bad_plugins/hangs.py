# SPDX-License-Identifier: Apache-2.0
"""Never comes to an end."""

import threading

threading.Event().wait()
