# SPDX-License-Identifier: Apache-2.0
"""The lock of a pipeline's folder: one manager at a time, and its pid for others to read.

The kernel releases it when the manager dies, for any reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path

from worker_pipeline.recovery.set_aside import make_way_for_folder, set_aside
from worker_pipeline.system.files import identity_of, is_same_file, read_file
from worker_pipeline.system.proc import start_of

# The file in a pipeline's folder that is there as long as its state is.
LOCK_FILE = 'manager'
# How long to wait for the holder of the lock to write its pid, or to release the lock, s.
LOCK_TIMEOUT = 1.0


class AlreadyRunningError(Exception):
    """Another manager runs this pipeline, with the process id ``pid`` (0: not known).

    ``about``: what else is known of it, such as ``of user ann``.
    """

    def __init__(self, namespace: str, pid: int, about: str = '') -> None:
        who = ' '.join(filter(None, [f'pid {pid}' if pid else '', about])) or 'pid not known'
        super().__init__(
            f'{namespace or "/"}: found a manager already running, {who}; '
            'allowed: one manager in a namespace'
        )
        self.pid = pid


class FolderLock:
    """The lock of a folder, which is made if necessary. Raises AlreadyRunningError and OSError.

    Args:
        folder: The folder.
        namespace: The pipeline's.
        guardian: The pid of the process that starts this one again, for messages; 0: none does.
    """

    def __init__(self, folder: Path, namespace: str, guardian: int = 0) -> None:
        self.folder = folder
        self.file = folder / LOCK_FILE
        self.obstacles: list[str] = []  # what was in its place, and where it is kept
        self._namespace = namespace
        self._guardian = guardian
        self._lock = self._acquire()
        self._folder_identity = identity_of(folder)
        self._register()

    def _acquire(self) -> int:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                make_folder(self.folder)
                lock = self._try_lock()
            except (FileNotFoundError, FileExistsError):
                # The previous holder is removing the folder at this moment.
                if time.monotonic() > deadline:
                    raise
                continue
            except BlockingIOError:
                pid = manager_of(self.file)
                if pid or time.monotonic() > deadline:
                    about = _guarded_by(self.file) if pid else _unseen_holder(self.file)
                    raise AlreadyRunningError(self._namespace, pid or 0, about) from None
                time.sleep(0.005)  # the holder has just started, or is about to exit
                continue
            # The previous holder may have removed the file: then this lock protects nothing.
            if is_same_file(lock, self.file):
                return lock
            os.close(lock)

    def _try_lock(self) -> int:
        """Return the locked file. Raises BlockingIOError where another process has it, OSError."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(self.file.lstat().st_mode):
                self.obstacles.append(f'{self.file}: of a wrong type; {set_aside(self.file)}')
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock = os.open(self.file, flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def _register(self) -> None:
        """Write into the file who has the lock."""
        words = [os.getpid(), start_of(os.getpid()), *([self._guardian] if self._guardian else [])]
        self._content = ' '.join(map(str, words)).encode()
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, self._content, 0)

    def is_folder_in_place(self) -> bool:
        """Return whether the folder is still the one that this manager has made or found."""
        return identity_of(self.folder) == self._folder_identity

    def is_held(self) -> bool:
        """Return whether the file is still the one that this manager has locked."""
        return is_same_file(self._lock, self.file)

    def is_readable(self) -> bool:
        """Return whether others find this manager's pid in the file that it has locked."""
        # One byte more than there is: nothing may follow.
        content = os.pread(self._lock, len(self._content) + 1, 0)
        return self.is_held() and content == self._content

    def remake_folder(self) -> None:
        """Make the folder anew. Raises OSError."""
        for folder in (self.folder.parents[1], self.folder.parent, self.folder):
            make_way_for_folder(folder)
        make_folder(self.folder)
        self._folder_identity = identity_of(self.folder)

    def acquire_anew(self) -> None:
        """Lock the file that is there now. Raises AlreadyRunningError and OSError.

        Until then the lock on the former file is kept.
        """
        if self.is_held():
            self._register()  # it was overwritten
            return
        try:
            lock = self._try_lock()
        except BlockingIOError:
            raise AlreadyRunningError(self._namespace, manager_of(self.file) or 0) from None
        os.close(self._lock)
        self._lock = lock
        self._register()

    def release(self) -> None:
        """Release the lock: this process may live on, but not as the manager."""
        os.ftruncate(self._lock, 0)
        os.close(self._lock)


def manager_of(lock_file: Path) -> int | None:
    """Return the pid of the manager that holds a folder's lock; None if there is none."""
    try:
        pid, started = (int(each) for each in read_file(lock_file).split()[:2])
    except (OSError, ValueError):
        return None
    return pid if start_of(pid) == started else None


def _guarded_by(lock_file: Path) -> str:
    """Describe who starts the holder of a folder's lock again; '' if nobody does."""
    with contextlib.suppress(OSError, ValueError):
        _, _, guardian = (int(each) for each in read_file(lock_file).split())
        return f'started by pid {guardian}'
    return ''


def _unseen_holder(lock_file: Path) -> str:
    """Describe who holds a folder's lock although no process here is the one in its file."""
    with contextlib.suppress(OSError, ValueError):
        pid, *_ = (int(each) for each in read_file(lock_file).split())
        return f'pid {pid} in another PID namespace, such as a container'
    return ''


def make_folder(folder: Path) -> None:
    """Make a pipeline's folder, and those above it that only this user can access.

    Raises OSError: /dev/shm is open to all users, and another one may have been faster.
    """
    user_folder = folder.parents[1]
    user_folder.mkdir(exist_ok=True, mode=0o700)
    found = user_folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(
            f'{user_folder}: found what belongs to another user; allowed: our own'
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        user_folder.chmod(0o700)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
