"""Frames kept in a folder, as they pass."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import cv2

from worker_pipeline.airside.cameras import Frame
from worker_pipeline.context import NANOSECONDS
from worker_pipeline.runtime.whole_files import remove_halves, write_whole
from worker_pipeline.status import StageStatus

# How each kind is written: by quality, in percent; by effort, of 9.
KINDS = {
    'jpg': [cv2.IMWRITE_JPEG_QUALITY, 95],
    'png': [cv2.IMWRITE_PNG_COMPRESSION, 1],
}
_WAITING = 4  # frames, which are megabytes each
_CLOSE_TIME = 2.0  # s
_MODE = 0o644


class FrameSaver:
    """Writes every ``every``-th frame to a file named by its stamp; ``kind``: a key of ``KINDS``.

    On a thread of its own: a slow disk costs frames on the disk and none in the stream. A file is
    there whole or not at all. OSError if there can be no such folder.
    """

    def __init__(self, folder: str, kind: str, every: int, status: StageStatus) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f'save_to: {error}') from None
        remove_halves(self._folder)
        self.trouble = ''
        self._kind = kind
        self._every = every
        self._status = status
        self._passed = 0
        self._waiting: queue.Queue[Frame | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name='frame_saver', daemon=True)
        self._thread.start()

    def offer(self, frame: Frame) -> None:
        """Save a frame, if it is its turn and there is room for it. Its pixels must not change."""
        is_its_turn = self._passed % self._every == 0
        self._passed += 1
        if is_its_turn:
            try:
                self._waiting.put_nowait(frame)
            except queue.Full:
                self._status.count('saves_dropped')

    def close(self) -> None:
        """Write what waits, as far as there is time for it."""
        try:
            self._waiting.put(None, timeout=_CLOSE_TIME)
            self._thread.join(_CLOSE_TIME)
        except queue.Full:
            self._status.count('saves_dropped', self._waiting.qsize())

    def _run(self) -> None:
        while (frame := self._waiting.get()) is not None:
            try:
                self._save(frame)
                self._status.count('saved')
                self.trouble = ''
            except (OSError, cv2.error) as error:
                self._status.count('saves_failed')
                self.trouble = f'a frame could not be saved: {error}'

    def _save(self, frame: Frame) -> None:
        seconds, nanoseconds = divmod(frame.stamp, NANOSECONDS)
        done, data = cv2.imencode(f'.{self._kind}', frame.pixels, KINDS[self._kind])
        if not done:
            raise OSError(f'OpenCV cannot write {self._kind}')
        path = self._folder / f'{seconds:010d}_{nanoseconds:09d}.{self._kind}'
        write_whole(path, lambda file: file.write(data.data), _MODE)
