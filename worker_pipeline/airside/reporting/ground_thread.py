"""The thread that holds the link to the ground, and opens it again for as long as it is wanted."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from worker_pipeline.airside.mavlink.link import LinkLostError, OpenLink
from worker_pipeline.airside.reporting.ground_delivery import GroundDelivery
from worker_pipeline.airside.reporting.ground_link import Acknowledged, GroundProtocol
from worker_pipeline.airside.reporting.target_report import ReportBook
from worker_pipeline.airside.stoppable_thread import StoppableThread
from worker_pipeline.status import StageStatus

_HEARTBEAT_PERIOD = 1.0  # s, as the protocol wants it
# s, at most, without a look at what there is to do.
_LOOK = 0.2


class GroundThread(StoppableThread):
    """Tells the ground what is due, over links that ``open_link`` opens.

    ``lock`` is held whenever the book and the delivery are used. ``retry``: s, from one attempt to
    open a link to the next. ``link_timeout``: s, after which the ground counts as silent.
    ``reopen_after``: s of silence, until a link is opened again which may be dead without a word.
    """

    def __init__(
        self,
        open_link: Callable[[], OpenLink],
        protocol: GroundProtocol,
        book: ReportBook,
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
        self._book = book
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
                self._carry(self._open_link())
            except OSError as error:
                self._complain(str(error))
            except Exception:
                # Whatever it is, the flight goes on, and the next attempt may do.
                self._logger.exception('the ground was not told')
                self._complain('an internal error, which is logged')
            self._stopping.wait(max(0.0, begun + self._retry - time.monotonic()))

    def _complain(self, problem: str) -> None:
        if not self._stopping.is_set():  # after that there may be another thread, with a link
            self._status.warn(f'no link to the ground: {problem}')

    def _carry(self, link: OpenLink) -> None:
        """Talk until the link is lost, which is an OSError."""
        opened = next_heartbeat = time.monotonic()
        self._protocol.begin()
        try:
            while not self._stopping.is_set():
                now = time.monotonic()
                if now >= next_heartbeat:
                    next_heartbeat = now + _HEARTBEAT_PERIOD
                    link.write(self._protocol.heartbeat())
                wait = self._tell(link, now)
                self._listen(link, max(0.0, min(_LOOK, wait, next_heartbeat - now)))
                self._reopen_if_silent(opened)
        finally:
            with contextlib.suppress(OSError):
                link.close()

    def _tell(self, link: OpenLink, now: float) -> float:
        """Send what is due, if anything is; s until there may be more."""
        with self._lock:
            message = self._delivery.next(self._book.reports, now)
            wait = self._delivery.wait(self._book.reports, now)
        if message is not None:
            link.write(self._protocol.packed(message))
            self._status.count('sent')
        return wait

    def _listen(self, link: OpenLink, wait: float) -> None:
        events = self._protocol.received(link.read(wait))
        now = time.monotonic()
        with self._lock:
            for event in events:
                if isinstance(event, Acknowledged):
                    gone = self._delivery.acknowledged(event.sequence, event.accepted, now)
                    if gone is not None:
                        self._book.forget(gone)
                else:
                    self._delivery.heard(now)
        self._say_how_it_stands(now)

    def _reopen_if_silent(self, opened: float) -> None:
        now = time.monotonic()
        with self._lock:
            silence = self._delivery.silence(now)
        silent = now - opened if silence is None else min(silence, now - opened)
        if silent > self._reopen_after:
            raise LinkLostError(f'silent for {silent:.0f} s')

    def _say_how_it_stands(self, now: float) -> None:
        with self._lock:
            silence = self._delivery.silence(now)
            undelivered = len(self._delivery.due(self._book.reports))
            refused = self._delivery.refused
        status = self._status
        status.set('undelivered', undelivered)
        status.set('refused_by_ground', refused)
        for name, count in self._protocol.counts.items():
            status.set(name, count)
        if silence is None:
            status.warn('the ground was not heard yet')
        elif silence > self._link_timeout:
            status.warn(f'the ground is silent for {silence:.0f} s')
        elif refused:
            status.warn(f'the ground has no use for {refused} targets')
        else:
            status.ok()
