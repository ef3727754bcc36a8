# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps the link open and reopens it when it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from worker_pipeline.airside.common.backoff import Backoff
from worker_pipeline.airside.common.stoppable_thread import StoppableThread
from worker_pipeline.airside.mavlink.link import OpenLink
from worker_pipeline.airside.mavlink.session import MavlinkSession
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS

# Longest wait for data, s.
_POLL_PERIOD = 0.02
# A link that was silent for this time is reopened: TCP does not report that the peer is gone.
REOPEN_AFTER = 5 * SECONDS


class LinkThread(StoppableThread):
    """Runs a session over a link, and reopens the link when it is lost.

    ``lock`` is held whenever the session is used. ``error_message``: why there is no link, or
    empty. ``open_count``: how often a link was opened.

    Args:
        open_link: Opens a link; OSError if it cannot.
        session: The session.
        now: Returns the time of a steady clock, ns.
        logger: The stage's logger.
    """

    def __init__(
        self,
        open_link: Callable[[], OpenLink],
        session: MavlinkSession,
        now: Callable[[], int],
        logger: logging.Logger,
    ) -> None:
        super().__init__('mavlink')
        self.lock = threading.Lock()
        self.error_message = 'not opened yet'
        self.open_count = 0
        self._open_link = open_link
        self._session = session
        self._now = now
        self._logger = logger

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                link = self._open_link()
                self.error_message, was_received = self._serve(link)
            except OSError as error:
                self.error_message, was_received = str(error), False
            except Exception as error:
                # An error of ours on unexpected input: the next message may work.
                self._logger.exception('the link failed')
                self.error_message, was_received = f'{type(error).__name__}: {error}', False
            if was_received:
                backoff.reset()
            self._stopping.wait(backoff.next())

    def _serve(self, link: OpenLink) -> tuple[str, bool]:
        """Run the session until the link is lost; return why, and whether the vehicle answered."""
        begun = self._now()
        self.open_count += 1
        self.error_message = ''
        with self.lock:
            self._session.reset()
        try:
            while not self._stopping.is_set():
                data = link.read(_POLL_PERIOD)
                now = self._now()
                with self.lock:
                    if data:
                        self._session.receive_data(data, now)
                    answer = self._session.data_to_send(now)
                    last_received = max(self._session.last_received or begun, begun)
                if answer:
                    link.write(answer)
                if now - last_received > REOPEN_AFTER:
                    return (
                        f'silent for {(now - last_received) / SECONDS:.0f} s',
                        last_received > begun,
                    )
        except OSError as error:
            return str(error), (self._session.last_received or begun) > begun
        finally:
            link.close()
        return '', True
