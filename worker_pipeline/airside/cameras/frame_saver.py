# SPDX-License-Identifier: Apache-2.0
"""Saving passing frames to a folder."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from worker_pipeline.airside.cameras import CameraFrame
from worker_pipeline.airside.common.opencv import cv2
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.status import StageStatus
from worker_pipeline.system.atomic_files import remove_partial_files, write_atomically

# The OpenCV options of each kind: quality in percent; compression level, up to 9.
KINDS = {
    'jpg': [cv2.IMWRITE_JPEG_QUALITY, 95],
    'png': [cv2.IMWRITE_PNG_COMPRESSION, 1],
}
_QUEUE_SIZE = 4  # frames, which are megabytes each
_CLOSE_TIMEOUT = 2.0  # s
_MODE = 0o644


class FrameSaver:
    """Saves passing frames to files named by their stamps.

    It has its own thread: a slow disk loses saved frames but does not delay the stream. Files are
    written atomically. OSError if the folder cannot be created.

    Args:
        folder: The folder, created if needed.
        kind: A key of ``KINDS``.
        every: Save every n-th frame.
        status: The stage's status, for counters.
    """

    def __init__(self, folder: str, kind: str, every: int, status: StageStatus) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f'save_to: {error}') from None
        remove_partial_files(self._folder)
        self.error_message = ''
        self._kind = kind
        self._every = every
        self._status = status
        self._passed = 0
        self._waiting: queue.Queue[CameraFrame | None] = queue.Queue(_QUEUE_SIZE)
        self._thread = threading.Thread(target=self._run, name='frame_saver', daemon=True)
        self._thread.start()

    def offer(self, frame: CameraFrame) -> None:
        """Save a frame if its turn has come and the queue has room. Its pixels must not change."""
        is_its_turn = self._passed % self._every == 0
        self._passed += 1
        if is_its_turn:
            try:
                self._waiting.put_nowait(frame)
            except queue.Full:
                self._status.count('saves_dropped')

    def close(self) -> None:
        """Write the waiting frames, within a time limit."""
        try:
            self._waiting.put(None, timeout=_CLOSE_TIMEOUT)
            self._thread.join(_CLOSE_TIMEOUT)
        except queue.Full:
            self._status.count('saves_dropped', self._waiting.qsize())

    def _run(self) -> None:
        while (frame := self._waiting.get()) is not None:
            try:
                self._save(frame)
                self._status.count('saved')
                self.error_message = ''
            except (OSError, cv2.error) as error:
                self._status.count('saves_failed')
                self.error_message = f'a frame could not be saved: {error}'

    def _save(self, frame: CameraFrame) -> None:
        seconds, nanoseconds = divmod(frame.stamp, NANOSECONDS)
        done, data = cv2.imencode(f'.{self._kind}', frame.pixels, KINDS[self._kind])
        if not done:
            raise OSError(f'OpenCV cannot write {self._kind}')
        path = self._folder / f'{seconds:010d}_{nanoseconds:09d}.{self._kind}'
        write_atomically(path, lambda file: file.write(data.data), _MODE)
