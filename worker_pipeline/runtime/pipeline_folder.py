"""A pipeline's folder in shared memory: what is to survive its manager, and nothing else.

It belongs to one namespace in one ROS domain on one machine, and to the manager that holds its
lock. The kernel lets go of the lock when that manager dies, whatever it dies of; the next one finds
here the journal, the pages of the workers that live, and what they have kept for it. A manager
that ends in order leaves nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import marshal
import os
import secrets
import select
import shutil
import signal
import stat
import tempfile
import time
from pathlib import Path

from worker_pipeline.runtime.frame_blocks import SHARED_MEMORY
from worker_pipeline.runtime.proc import start_of
from worker_pipeline.runtime.vital_signs import VitalSigns

# How long a helper of an earlier manager may take to see that its last child is gone, s.
HELPERS_EXIT = 2.0
# How long whoever has the lock may take to write its pid, or to leave, s.
HANDOVER = 1.0


class AlreadyRunningError(Exception):
    """Another manager runs this pipeline. ``pid`` is its."""

    def __init__(self, namespace: str, pid: int) -> None:
        super().__init__(
            f'{namespace or "/"}: found a manager already running, pid {pid}; '
            'allowed: one manager in a namespace'
        )
        self.pid = pid


def folder_of(namespace: str, domain: int) -> Path:
    """Where the pipeline of a namespace (``/airside``) in a ROS domain has its folder."""
    base = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    name = namespace.strip('/').replace('/', '.') or '.root'
    return base / f'worker_pipeline_{os.getuid()}' / str(domain) / name


class PipelineFolder:
    """The folder, held by this process's manager."""

    def __init__(self, namespace: str, domain: int) -> None:
        """Take the folder; raises AlreadyRunningError, and OSError where it cannot be had."""
        self.path = folder_of(namespace, domain)
        self.lock_file = self.path / 'manager'
        self._lock = self._locked(namespace)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f'{os.getpid()} {start_of(os.getpid())}'.encode(), 0)
        self.run = secrets.randbits(63)
        self._make_folders()

    def _make_folders(self) -> None:
        for each in (self.workers, self.states, self.frames):
            each.mkdir(exist_ok=True, mode=0o700)

    def _locked(self, namespace: str) -> int:
        deadline = time.monotonic() + HANDOVER
        while True:
            try:
                _make_private(self.path.parents[1])
                self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except (FileNotFoundError, FileExistsError):
                # Whoever left has taken the folder away at this very moment.
                if time.monotonic() > deadline:
                    raise
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                pid = manager_of(self.lock_file)
                if pid or time.monotonic() > deadline:
                    raise AlreadyRunningError(namespace, pid or 0) from None
                time.sleep(0.005)  # it has just come, or is about to be gone
                continue
            # Whoever had it may have removed the file when it left: then this lock is on nothing.
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(lock), self.lock_file.stat()):
                    return lock
            os.close(lock)

    @property
    def workers(self) -> Path:
        """One page of vital signs for each worker process."""
        return self.path / 'workers'

    @property
    def states(self) -> Path:
        """What stages that remember have saved, a file for each slot."""
        return self.path / 'states'

    @property
    def frames(self) -> Path:
        """Large payloads, in blocks that are used again and again."""
        return self.path / 'frames'

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.path / 'journal'

    @property
    def line(self) -> Path:
        """The socket at which the manager takes its workers' calls."""
        return self.path / 'line'

    @property
    def _helpers_file(self) -> Path:
        return self.path / 'helpers'

    def new_page(self, stage: str, slot: str, fit: int) -> VitalSigns:
        """A page for a worker that is about to be born."""
        return VitalSigns.prepare(
            self.workers / f'{stage}.{slot}.{time.monotonic_ns()}', self.run, fit
        )

    def pages(self) -> dict[tuple[str, str], list[VitalSigns]]:
        """The pages that are here, by (stage, slot), the youngest first."""
        found: dict[tuple[str, str], list[VitalSigns]] = {}
        files = [file for file in self.workers.iterdir() if file.suffix[1:].isdecimal()]
        for file in sorted(files, key=lambda file: int(file.suffix[1:]), reverse=True):
            stage, slot, _ = file.name.split('.')
            try:
                page = VitalSigns(file)
            except (FileNotFoundError, ValueError):
                # Its worker has just gone; or a manager died before it had made it whole.
                file.unlink(missing_ok=True)
                continue
            found.setdefault((stage, slot), []).append(page)
        return found

    def held(self, page: VitalSigns) -> dict[int, bytes]:
        """What a worker has kept for us: the items that it held when its manager died."""
        try:
            return dict(marshal.loads(_held_file(page).read_bytes()))
        except OSError:
            return {}

    def note_helper(self, pid: int) -> None:
        """Note a process that may outlive this manager: a fork server lives with its children."""
        with self._helpers_file.open('a') as file:
            file.write(f'{pid} {start_of(pid) or 0}\n')

    def helpers(self) -> list[int]:
        """The noted processes that live."""
        with contextlib.suppress(OSError, ValueError):
            lines = self._helpers_file.read_text().splitlines()
            noted = [tuple(int(each) for each in line.split()) for line in lines]
            return [pid for pid, started in noted if started and start_of(pid) == started]
        return []

    def forget_all(self) -> None:
        """Begin anew: nothing that is here is of use."""
        self._remove_all_but(self.lock_file, self._helpers_file)
        self._make_folders()

    def _remove_all_but(self, *kept: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody has tidied up
            for each in self.path.iterdir():
                if each.is_dir():
                    shutil.rmtree(each, ignore_errors=True)
                elif each not in kept:
                    each.unlink(missing_ok=True)

    def close(self, *, remove: bool) -> None:
        """Let the next manager in; ``remove``: and leave nothing, not even an old fork server."""
        if remove:
            for pid in self.helpers():
                _await_exit(pid)
            # The lock's file last: as soon as that is gone, all that is here may be another's.
            self._remove_all_but(self.lock_file)
            self.lock_file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.path.rmdir()
        os.ftruncate(self._lock, 0)  # while this process lives on, it is nobody's manager
        os.close(self._lock)
        for parent in self.path.parents[:2]:
            with contextlib.suppress(OSError):  # others' folders are in it
                parent.rmdir()


def _make_private(folder: Path) -> None:
    """Make a folder ours alone. What is read here is trusted, and /dev/shm is everybody's."""
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f'{folder}: found what belongs to another user; allowed: our own')
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _await_exit(pid: int) -> None:
    """Wait for a process that has nothing left to do; one that does not see that is ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if not poll.poll(HELPERS_EXIT * 1e3):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)


def forget_page(page: VitalSigns) -> None:
    """A worker is gone: take away what it has left."""
    _held_file(page).unlink(missing_ok=True)
    page.close(remove=True)


def _held_file(page: VitalSigns) -> Path:
    return page.path.with_name(page.path.name + '.held')


def manager_of(lock_file: Path) -> int | None:
    """The pid of the manager that holds a folder; None when it is gone, or ended in order."""
    try:
        pid, started = (int(each) for each in lock_file.read_text().split())
    except (OSError, ValueError):
        return None
    return pid if start_of(pid) == started else None
