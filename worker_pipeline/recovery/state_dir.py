# SPDX-License-Identifier: Apache-2.0
"""A pipeline's folder in shared memory: the state that has to survive a crash of the manager.

It belongs to one namespace in one ROS domain on one machine, and to the manager that holds its
lock. The kernel releases the lock when that manager dies, for any reason. The next manager
finds here the journal, the liveness records of the live workers, and the items that
these workers have saved for it. A manager that shuts down cleanly leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.frames.blocks import SHARED_MEMORY
from worker_pipeline.recovery.checked_file import DamagedFileError, read_checked, write_checked
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.set_aside import SUFFIX, remove, set_aside
from worker_pipeline.recovery.user_folder import user_folders
from worker_pipeline.system.proc import start_of

# The file in a pipeline's folder that is there as long as its state is.
LOCK_FILE = 'manager'
# How long an earlier manager's helper process may take to notice that its last child has exited, s.
HELPER_EXIT_TIMEOUT = 2.0
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


def state_dir_path(namespace: str, domain: int) -> Path:
    """Return the path of the folder for a namespace (``/airside``) in a ROS domain."""
    name = namespace.strip('/').replace('/', '.') or '.root'
    places = [each / str(domain) / name for each in user_folders(SHARED_MEMORY)]
    # An earlier manager may have been started in another environment, such as a user's session.
    return next((each for each in places if (each / LOCK_FILE).exists()), places[0])


def pipeline_processes() -> list[int]:
    """Return the pids of this user's managers, of all pipelines, and of their helper processes."""
    found = []
    for folder in (each for base in user_folders(SHARED_MEMORY) for each in base.glob('*/*')):
        found += [pid for pid in [manager_of(folder / 'manager')] if pid is not None]
        found += _living(folder / 'helpers')
    return found


def _living(helpers_file: Path) -> list[int]:
    """Return the pids in a list of helper processes that are alive."""
    with contextlib.suppress(OSError, ValueError):
        lines = helpers_file.read_text().splitlines()
        registered = [tuple(int(each) for each in line.split()) for line in lines]
        return [pid for pid, started in registered if started and start_of(pid) == started]
    return []


class OrphanSnapshot(NamedTuple):
    """The state of a worker without a manager, saved for the next one."""

    items: dict[int, bytes]  # its unanswered items, by number
    retained_frames: list[bytes] | None  # None: nothing was saved


def save_orphan_snapshot(record: LivenessRecord, snapshot: OrphanSnapshot) -> None:
    """Save a worker's snapshot beside its liveness record. Raises OSError."""
    write_checked(_snapshot_file(record), tuple(snapshot))


class PipelineStateDir:
    """The folder of the pipeline that this process manages."""

    def __init__(self, namespace: str, domain: int) -> None:
        """Lock the folder; create it if necessary. Raises AlreadyRunningError and OSError."""
        self.path = state_dir_path(namespace, domain)
        self.lock_file = self.path / LOCK_FILE
        self._lock = self._acquire_lock(namespace)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f'{os.getpid()} {start_of(os.getpid())}'.encode(), 0)
        self.run_id = secrets.randbits(63)
        self.obstacles = [
            f'{each}: of a wrong type; {set_aside(each)}' for each in self._misplaced()
        ]
        self._create_subfolders()

    def _misplaced(self) -> list[Path]:
        """Return files in place of our folders, and folders in place of our files."""
        folders = [self.workers, self.states, self.frames]
        files = [self._helpers_file, self.socket, self.journal.with_suffix('.new')]
        found = [each for each in folders if os.path.lexists(each) and not _is_folder(each)]
        return found + [each for each in files if _is_folder(each)]

    def _create_subfolders(self) -> None:
        for each in (self.workers, self.states, self.frames):
            each.mkdir(exist_ok=True, mode=0o700)

    def _acquire_lock(self, namespace: str) -> int:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                _make_private(self.path.parents[1])
                self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except (FileNotFoundError, FileExistsError):
                # The previous holder is removing the folder at this moment.
                if time.monotonic() > deadline:
                    raise
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                pid = manager_of(self.lock_file)
                if pid or time.monotonic() > deadline:
                    about = '' if pid else _unseen_holder(self.lock_file)
                    raise AlreadyRunningError(namespace, pid or 0, about) from None
                time.sleep(0.005)  # the holder has just started, or is about to exit
                continue
            # The previous holder may have removed the file: then this lock protects nothing.
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(lock), self.lock_file.stat()):
                    return lock
            os.close(lock)

    @property
    def workers(self) -> Path:
        """Return the folder of liveness records, one per worker process."""
        return self.path / 'workers'

    @property
    def states(self) -> Path:
        """Return the folder of saved stage states, one file per slot."""
        return self.path / 'states'

    @property
    def frames(self) -> Path:
        """Return the folder of frames: large payloads, in reusable blocks."""
        return self.path / 'frames'

    @property
    def journal(self) -> Path:
        """Return the journal's file."""
        return self.path / 'journal'

    @property
    def socket(self) -> Path:
        """Return the socket that the manager's workers connect to."""
        return self.path / 'socket'

    @property
    def _helpers_file(self) -> Path:
        return self.path / 'helpers'

    def new_liveness_record(self, stage: str, slot: str, config_hash: int) -> LivenessRecord:
        """Create the liveness record of a worker that is about to be started.

        Args:
            stage: The worker's stage.
            slot: Its slot.
            config_hash: The digest of its configuration.

        Raises OSError.
        """
        path = self.workers / f'{stage}.{slot}.{time.monotonic_ns()}'
        return LivenessRecord.prepare(path, self.run_id, config_hash)

    def liveness_records(
        self, warn: Callable[[str], object] = lambda _: None
    ) -> dict[tuple[str, str], list[LivenessRecord]]:
        """Return the liveness records by (stage, slot), the newest first.

        ``warn``: called with a message about each file that is none; it stays where it is.
        """
        found: dict[tuple[str, str], list[LivenessRecord]] = {}
        files = [(number, file) for file in self.workers.iterdir() if (number := _number_of(file))]
        for _, file in sorted(files, reverse=True):
            stage, slot, _ = file.name.split('.')
            try:
                record = LivenessRecord(file)
            except FileNotFoundError:
                continue  # the worker has just exited
            except (OSError, ValueError) as error:
                # A manager died before it was complete; or it was cut, or is no file. Its worker,
                # if there is one, exits when it misses it.
                warn(f'{file}: no liveness record ({error}); {set_aside(file)}')
                continue
            found.setdefault((stage, slot), []).append(record)
        for file in sorted(self.workers.iterdir()):
            if not _belongs_to_worker(file):
                warn(f'{file}: is no file of this pipeline; ignored')
        return found

    def orphan_snapshot(
        self, record: LivenessRecord, warn: Callable[[str], object] = lambda _: None
    ) -> OrphanSnapshot:
        """Return the state that a worker saved since its manager died.

        ``warn``: called with a message if what it saved is damaged.
        """
        file = _snapshot_file(record)
        try:
            return OrphanSnapshot(*read_checked(file))
        except FileNotFoundError:
            return OrphanSnapshot({}, None)
        except DamagedFileError as error:
            warn(f'{error}; the items in it may be lost; {set_aside(file)}')
            return OrphanSnapshot({}, None)

    def add_helper_process(self, pid: int) -> None:
        """Register a process that may outlive this manager, such as the fork server of workers."""
        with self._helpers_file.open('a') as file:
            file.write(f'{pid} {start_of(pid) or 0}\n')

    def helper_processes(self) -> list[int]:
        """Return the pids of the registered processes that are alive."""
        return _living(self._helpers_file)

    def clear(self) -> None:
        """Remove what an earlier manager has left, but its helpers' list and what is set aside."""
        kept = [each for each in self.path.iterdir() if each.suffix == SUFFIX]
        self._remove_all_but(self.lock_file, self._helpers_file, *kept)
        self._create_subfolders()

    def _remove_all_but(self, *kept: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # the folder was removed
            for each in self.path.iterdir():
                if each not in kept:
                    remove(each)

    def close(self, *, remove: bool) -> None:
        """Release the lock; ``remove``: first remove the folder, when all helpers have exited."""
        if remove:
            for pid in self.helper_processes():
                _await_exit(pid)
            # The lock's file last: once it is gone, the folder may belong to the next manager.
            self._remove_all_but(self.lock_file)
            self.lock_file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.rmdir()
        os.ftruncate(self._lock, 0)  # this process may live on, but not as the manager
        os.close(self._lock)
        for parent in self.path.parents[:2]:
            with contextlib.suppress(OSError):  # other pipelines have their folders there
                parent.rmdir()


def _make_private(folder: Path) -> None:
    """Create a folder that only this user can access: /dev/shm is open to all users."""
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f'{folder}: found what belongs to another user; allowed: our own')
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _await_exit(pid: int) -> None:
    """Wait until an idle process has exited; kill it after ``HELPER_EXIT_TIMEOUT``."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if not poll.poll(HELPER_EXIT_TIMEOUT * 1e3):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)


def remove_liveness_record(record: LivenessRecord) -> None:
    """Remove the liveness record of a worker that has exited, and its orphan snapshot."""
    _snapshot_file(record).unlink(missing_ok=True)
    record.close(remove=True)


def _number_of(file: Path) -> int:
    """Return the number in the name of a liveness record; 0 if the name is no record's."""
    stage, _, rest = file.name.partition('.')
    slot, _, number = rest.partition('.')
    is_record = stage and slot and number.isascii() and number.isdecimal()
    return int(number[:20]) if is_record else 0


def _belongs_to_worker(file: Path) -> bool:
    """Return whether a file in the folder of liveness records is a record, or beside one."""
    name = '.'.join(file.name.split('.')[:3])
    return file.suffix == SUFFIX or _number_of(file.with_name(name)) > 0


def _snapshot_file(record: LivenessRecord) -> Path:
    return record.path.with_name(record.path.name + '.snapshot')


def manager_of(lock_file: Path) -> int | None:
    """Return the pid of the manager that holds a folder's lock; None if there is none."""
    try:
        pid, started = (int(each) for each in lock_file.read_text().split())
    except (OSError, ValueError):
        return None
    return pid if start_of(pid) == started else None


def _unseen_holder(lock_file: Path) -> str:
    """Describe who holds a folder's lock although no process here is the one in its file."""
    with contextlib.suppress(OSError, ValueError):
        pid, _ = (int(each) for each in lock_file.read_text().split())
        return f'pid {pid} in another PID namespace, such as a container'
    return ''
