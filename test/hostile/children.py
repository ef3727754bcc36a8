# SPDX-License-Identifier: Apache-2.0
"""Processes that a stage starts, or becomes."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import subprocess
import time
from multiprocessing import shared_memory

from hostile.hostile_stage import HostileStage

LONG = '300'  # s


class LeavesSubprocess(HostileStage):
    """starts a program and forgets it"""

    def configure(self):
        self.record_child(subprocess.Popen(['sleep', LONG]).pid)


class LeavesShellJob(HostileStage):
    """starts a background job with os.system"""

    def configure(self):
        os.system(f'sleep {LONG} & echo > {self.params["folder"]}/child.$!')


class LeavesSession(HostileStage):
    """starts a program in a session of its own, with another environment"""

    def configure(self):
        child = subprocess.Popen(['sleep', LONG], start_new_session=True, env={}, close_fds=False)
        self.record_child(child.pid)


class LeavesDaemon(HostileStage):
    """starts a daemon by forking twice"""

    def configure(self):
        child = os.fork()
        if not child:
            os.setsid()
            daemon = os.fork()
            if not daemon:
                os.execvpe('sleep', ['sleep', LONG], {})
            self.record_child(daemon)
            os._exit(0)
        os.waitpid(child, 0)


class LeavesChildrenWhenItDies(HostileStage):
    """starts a program that ignores SIGTERM and SIGHUP, and crashes"""

    def trouble(self, item):
        script = f'trap "" TERM HUP INT; sleep {LONG}; sleep {LONG}'
        self.record_child(subprocess.Popen(['sh', '-c', script]).pid)
        os.abort()


class ForksInProcess(HostileStage):
    """forks in process, and both return: the child too"""

    def trouble(self, item):
        child = os.fork()
        if child:
            self.record_child(child)
        return super().trouble(item)


class ForksInConfigure(HostileStage):
    """forks in configure, and both return"""

    def configure(self):
        child = os.fork()
        if child:
            self.record_child(child)


class ForksAndExits(HostileStage):
    """forks; the child works for a moment and exits with sys.exit"""

    def trouble(self, item):
        child = os.fork()
        if not child:
            time.sleep(0.05)
            raise SystemExit(0)
        os.waitpid(child, 0)
        return super().trouble(item)


class LeavesProcessPool(HostileStage):
    """keeps a ProcessPoolExecutor open"""

    def configure(self):
        context = multiprocessing.get_context('fork')
        self.pool = concurrent.futures.ProcessPoolExecutor(1, context)
        self.record_child(self.pool.submit(os.getpid).result())


class LeavesPool(HostileStage):
    """keeps a multiprocessing.Pool open"""

    def configure(self):
        self.pool = multiprocessing.get_context('fork').Pool(2)
        self.record_child(self.pool.apply(os.getpid))


class LeavesManager(HostileStage):
    """keeps a multiprocessing manager, shared memory and a semaphore"""

    def configure(self):
        self.manager = multiprocessing.get_context('fork').Manager()
        self.shared = self.manager.dict()
        self.record_child(self.manager._process.pid)
        self.memory = shared_memory.SharedMemory(create=True, size=1024)
        self.lock = multiprocessing.Lock()

    def cleanup(self):
        self.memory.close()
        self.memory.unlink()


class SpawnsProcess(HostileStage):
    """starts a process with the method spawn"""

    def configure(self):
        process = multiprocessing.get_context('spawn').Process(target=time.sleep, args=(300.0,))
        process.start()
        self.record_child(process.pid)


class UsesForkserver(HostileStage):
    """starts a process with the method forkserver, as the manager does"""

    def configure(self):
        process = multiprocessing.get_context('forkserver').Process(
            target=time.sleep, args=(300.0,), daemon=True
        )
        process.start()
        self.record_child(process.pid)


class ReapsAllChildren(HostileStage):
    """waits for any child, as a careless supervisor does"""

    def trouble(self, item):
        subprocess.Popen(['true'])
        os.waitpid(-1, 0)
        return super().trouble(item)
