# SPDX-License-Identifier: Apache-2.0
"""A pipeline's folder in shared memory: the state that has to survive a crash of the manager.

It belongs to one namespace in one ROS domain on one machine, and to the manager that holds its
lock. The kernel releases the lock when that manager dies, for any reason. The next manager
finds here the journal, the liveness records of the live workers, and the items that
these workers have saved for it. A manager that shuts down cleanly leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from worker_pipeline.frames.blocks import SHARED_MEMORY
from worker_pipeline.recovery.checked_file import DamagedFileError, read_checked, write_checked
from worker_pipeline.recovery.folder_lock import LOCK_FILE, FolderLock
from worker_pipeline.recovery.folder_lock import AlreadyRunningError as AlreadyRunningError
from worker_pipeline.recovery.folder_lock import manager_of as manager_of
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.recovery.set_aside import (
    SUFFIX,
    make_way_for_file,
    make_way_for_folder,
    remove,
    set_aside,
)
from worker_pipeline.recovery.user_folder import user_folders
from worker_pipeline.system.files import is_folder, is_no_file, read_file
from worker_pipeline.system.proc import start_of

# How long an earlier manager's helper process may take to notice that its last child has exited, s.
HELPER_EXIT_TIMEOUT = 2.0


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
        found += [pid for pid in [manager_of(folder / LOCK_FILE)] if pid is not None]
        found += _living(folder / 'helpers')
    return found


def _living(helpers_file: Path) -> list[int]:
    """Return the pids in a list of helper processes that are alive."""
    with contextlib.suppress(OSError, ValueError):
        lines = read_file(helpers_file).splitlines()
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
    """The folder of the pipeline that this process manages.

    Args:
        namespace: The pipeline's.
        domain: The ROS domain.
        guardian: The pid of the process that starts this one again, for messages; 0: none does.
    """

    def __init__(self, namespace: str, domain: int, guardian: int = 0) -> None:
        """Lock the folder; create it if necessary. Raises AlreadyRunningError and OSError."""
        self.path = state_dir_path(namespace, domain)
        self.lock = FolderLock(self.path, namespace, guardian)
        self.lock_file = self.lock.file
        # Called when a part of the folder is found to be gone while it is in use.
        self.repair: Callable[[], None] = lambda: None
        self.run_id = secrets.randbits(63)
        self.obstacles = self.lock.obstacles + [
            f'{each}: of a wrong type; {set_aside(each)}' for each in self._misplaced()
        ]
        self._create_subfolders()
        self._helpers = _lines_of(self._helpers_file)

    def _misplaced(self) -> list[Path]:
        """Return files in place of our folders, and folders in place of our files."""
        folders = [self.workers, self.states, self.frames]
        files = [self._helpers_file, self.socket, self.inspected]
        files += [each.with_suffix('.new') for each in (self.journal, self.inspected)]
        found = [each for each in folders if os.path.lexists(each) and not is_folder(each)]
        return found + [each for each in files if is_no_file(each)]

    def remake_subfolder(self, path: Path) -> None:
        """Make one of the folders in it anew, unless it is there. Raises OSError."""
        make_way_for_folder(path)
        path.mkdir(exist_ok=True, mode=0o700)

    def _create_subfolders(self) -> None:
        for each in (self.workers, self.states, self.frames):
            each.mkdir(exist_ok=True, mode=0o700)

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
    def inspected(self) -> Path:
        """Return the file of what is known of the stages' classes."""
        return self.path / 'inspected'

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
        if not is_folder(self.workers):
            self.repair()
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
        if pid in self.helper_processes():
            return
        self._helpers.append(f'{pid} {start_of(pid) or 0}\n')
        with self._helpers_file.open('a') as file:
            file.write(self._helpers[-1])

    def has_helpers_file(self) -> bool:
        """Return whether the list of these processes is there, if there has to be one."""
        return not self._helpers or self._helpers_file.is_file()

    def write_helpers_file(self) -> None:
        """Write the list of these processes anew. Raises OSError."""
        make_way_for_file(self._helpers_file)
        self._helpers_file.write_text(''.join(self._helpers))

    def helper_processes(self) -> list[int]:
        """Return the pids of the registered processes that are alive."""
        return _living(self._helpers_file)

    def clear(self) -> None:
        """Remove what an earlier manager has left, but its helpers' list and what is set aside."""
        kept = [each for each in self.path.iterdir() if each.suffix == SUFFIX]
        self._remove_all_but(self.lock_file, self._helpers_file, self.inspected, *kept)
        self._create_subfolders()

    def _remove_all_but(self, *kept: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # the folder was removed
            for each in self.path.iterdir():
                if each not in kept:
                    remove(each)

    def close(self, *, remove: bool) -> None:
        """Release the lock; ``remove``: first remove the folder, when all helpers have exited.

        A folder that is another manager's by now stays as it is.
        """
        if remove and self.lock.is_held():
            for pid in self.helper_processes():
                _await_exit(pid)
            # The lock's file last: once it is gone, the folder may belong to the next manager.
            self._remove_all_but(self.lock_file)
            self.lock_file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.rmdir()
        self.lock.release()
        for parent in self.path.parents[:2]:
            with contextlib.suppress(OSError):  # other pipelines have their folders there
                parent.rmdir()


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


def _lines_of(file: Path) -> list[str]:
    try:
        return read_file(file).decode().splitlines(keepends=True)
    except (OSError, ValueError):
        return []


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
