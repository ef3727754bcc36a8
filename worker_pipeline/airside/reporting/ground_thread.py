# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps the link to the ground open and reopens it when it is lost."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from worker_pipeline.airside.common.stoppable_thread import StoppableThread
from worker_pipeline.airside.mavlink.link import LinkLostError, OpenLink
from worker_pipeline.airside.reporting.ground_delivery import GroundDelivery
from worker_pipeline.airside.reporting.ground_link import Acknowledged, GroundProtocol
from worker_pipeline.airside.reporting.target_report import ReportStore
from worker_pipeline.status import StageStatus

_HEARTBEAT_PERIOD = 1.0  # s, required by the protocol
# Longest interval between two checks for something to send, s.
_POLL_PERIOD = 0.2


class GroundThread(StoppableThread):
    """Sends due reports to the ground over a link, and reopens the link when it is lost.

    Args:
        open_link: Opens a link; OSError if it cannot.
        protocol: Encodes messages and parses received bytes.
        store: The reports.
        delivery: Decides about content and time of messages.
        lock: Held whenever the store and the delivery are used.
        status: The stage's status.
        logger: The stage's logger.
        retry: s, between two attempts to open a link.
        link_timeout: s, after which the ground counts as silent.
        reopen_after: s of silence after which a link is reopened, since its loss may go unnoticed.
    """

    def __init__(
        self,
        open_link: Callable[[], OpenLink],
        protocol: GroundProtocol,
        store: ReportStore,
        delivery: GroundDelivery,
        lock: threading.Lock,
        status: StageStatus,
        logger: logging.Logger,
        *,
        retry: float,
        link_timeout: float,
        reopen_after: float,
    ) -> None:
        super().__init__('ground')
        self._open_link = open_link
        self._protocol = protocol
        self._store = store
        self._delivery = delivery
        self._lock = lock
        self._status = status
        self._logger = logger
        self._retry = retry
        self._link_timeout = link_timeout
        self._reopen_after = reopen_after

    def _run(self) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                self._serve(self._open_link())
            except OSError as error:
                self._report_problem(str(error))
            except Exception:
                # After any error the flight continues, and the next attempt may succeed.
                self._logger.exception('sending to the ground failed')
                self._report_problem('internal error, see the log')
            self._stopping.wait(max(0.0, begun + self._retry - time.monotonic()))

    def _report_problem(self, problem: str) -> None:
        if not self._stopping.is_set():  # afterwards another thread may have a link
            self._status.warn(f'no link to the ground: {problem}')

    def _serve(self, link: OpenLink) -> None:
        """Exchange messages until the link is lost, which raises OSError."""
        opened = next_heartbeat = time.monotonic()
        self._protocol.reset()
        try:
            while not self._stopping.is_set():
                now = time.monotonic()
                if now >= next_heartbeat:
                    next_heartbeat = now + _HEARTBEAT_PERIOD
                    link.write(self._protocol.heartbeat())
                wait = self._send_due(link, now)
                self._receive(link, max(0.0, min(_POLL_PERIOD, wait, next_heartbeat - now)))
                self._reopen_if_silent(opened)
        finally:
            with contextlib.suppress(OSError):
                link.close()

    def _send_due(self, link: OpenLink, now: float) -> float:
        """Send a message if one is due; return the seconds until the next may be."""
        with self._lock:
            message = self._delivery.next_message(self._store.reports, now)
            wait = self._delivery.time_to_next(self._store.reports, now)
        if message is not None:
            link.write(self._protocol.encode(message))
            self._status.count('sent')
        return wait

    def _receive(self, link: OpenLink, wait: float) -> None:
        events = self._protocol.receive_data(link.read(wait))
        now = time.monotonic()
        with self._lock:
            for event in events:
                if isinstance(event, Acknowledged):
                    gone = self._delivery.acknowledged(event.sequence, event.accepted, now)
                    if gone is not None:
                        self._store.remove(gone)
                else:
                    self._delivery.record_contact(now)
        self._update_status(now)

    def _reopen_if_silent(self, opened: float) -> None:
        now = time.monotonic()
        with self._lock:
            silence = self._delivery.time_since_contact(now)
        silent = now - opened if silence is None else min(silence, now - opened)
        if silent > self._reopen_after:
            raise LinkLostError(f'silent for {silent:.0f} s')

    def _update_status(self, now: float) -> None:
        with self._lock:
            silence = self._delivery.time_since_contact(now)
            undelivered = len(self._delivery.due(self._store.reports))
            refused = self._delivery.refused
        status = self._status
        status.set('undelivered', undelivered)
        status.set('refused_by_ground', refused)
        for name, count in self._protocol.counts.items():
            status.set(name, count)
        if silence is None:
            status.warn('nothing received from the ground yet')
        elif silence > self._link_timeout:
            status.warn(f'the ground is silent for {silence:.0f} s')
        elif refused:
            status.warn(f'the ground has rejected {refused} targets')
        else:
            status.ok()
