"""The thread that holds the link, and opens it again for as long as it is wanted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from worker_pipeline.airside.backoff import Backoff
from worker_pipeline.airside.mavlink.conversation import Conversation
from worker_pipeline.airside.mavlink.link import OpenLink
from worker_pipeline.airside.mavlink.vehicle_clock import SECONDS
from worker_pipeline.airside.stoppable_thread import StoppableThread

# The link is looked at so often even if nothing comes, s.
_ROUND = 0.02
# A link that was silent for so long is opened again: TCP does not tell that the other side is gone.
REOPEN_AFTER = 5 * SECONDS


class LinkThread(StoppableThread):
    """Carries a conversation over links that ``open_link`` opens. ``now``: ns, never jumps.

    ``lock`` is held whenever the conversation is used. ``problem``: why there is no link, or empty.
    ``opened``: how often there was one.
    """

    def __init__(
        self,
        open_link: Callable[[], OpenLink],
        conversation: Conversation,
        now: Callable[[], int],
        logger: logging.Logger,
    ) -> None:
        super().__init__('mavlink')
        self.lock = threading.Lock()
        self.problem = 'not opened yet'
        self.opened = 0
        self._open_link = open_link
        self._conversation = conversation
        self._now = now
        self._logger = logger

    def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                link = self._open_link()
                self.problem, heard = self._carry(link)
            except OSError as error:
                self.problem, heard = str(error), False
            except Exception as error:
                # A fault of ours, on what nobody thought of: the next message may do.
                self._logger.exception('the link failed')
                self.problem, heard = f'{type(error).__name__}: {error}', False
            if heard:
                backoff.reset()
            self._stopping.wait(backoff.next())

    def _carry(self, link: OpenLink) -> tuple[str, bool]:
        """Talk until the link is lost; why it was, and whether the vehicle was heard on it."""
        begun = self._now()
        self.opened += 1
        self.problem = ''
        with self.lock:
            self._conversation.begin()
        try:
            while not self._stopping.is_set():
                data = link.read(_ROUND)
                now = self._now()
                with self.lock:
                    if data:
                        self._conversation.received(data, now)
                    answer = self._conversation.to_say(now)
                    heard = max(self._conversation.last_heard or begun, begun)
                if answer:
                    link.write(answer)
                if now - heard > REOPEN_AFTER:
                    return f'silent for {(now - heard) / SECONDS:.0f} s', heard > begun
        except OSError as error:
            return str(error), (self._conversation.last_heard or begun) > begun
        finally:
            link.close()
        return '', True
