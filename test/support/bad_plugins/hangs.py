"""Never comes to an end."""

import threading

threading.Event().wait()
