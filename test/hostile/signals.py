# SPDX-License-Identifier: Apache-2.0
"""Signals, handled, blocked and sent."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import subprocess
import time

from hostile.hostile_stage import HostileStage


def _raise_timeout(*_):
    raise TimeoutError('too slow')


class IgnoresSigterm(HostileStage):
    """ignores SIGTERM and handles SIGINT"""

    def configure(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)


class RaisesOnSigterm(HostileStage):
    """turns SIGTERM into an exception"""

    def configure(self):
        signal.signal(signal.SIGTERM, _raise_timeout)


class IgnoresSigchld(HostileStage):
    """ignores SIGCHLD, then runs a program"""

    def configure(self):
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def trouble(self, item):
        subprocess.run(['true'], check=False)
        return super().trouble(item)


class BlocksAllSignals(HostileStage):
    """blocks every signal with pthread_sigmask"""

    def configure(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class SetsWakeupFd(HostileStage):
    """calls signal.set_wakeup_fd, and closes the pipe"""

    def configure(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        os.close(reader)
        os.close(writer)


class LimitsItselfByAlarm(HostileStage):
    """raises from a SIGALRM handler while it works on an item"""

    def trouble(self, item):
        signal.signal(signal.SIGALRM, _raise_timeout)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        time.sleep(20.0)


class ForgetsItsAlarm(HostileStage):
    """leaves an alarm set, whose handler raises after the item, in the worker's own code"""

    def trouble(self, item):
        if self.first_time():
            signal.signal(signal.SIGALRM, _raise_timeout)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
        return super().trouble(item)


class EnablesFaulthandler(HostileStage):
    """enables faulthandler, with a dump of all threads a moment later"""

    def configure(self):
        faulthandler.enable()
        faulthandler.dump_traceback_later(0.05)
        faulthandler.register(signal.SIGUSR1)


class TerminatesItself(HostileStage):
    """sends itself SIGTERM"""

    def trouble(self, item):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20.0)


class SegfaultsItself(HostileStage):
    """sends itself SIGSEGV"""

    def trouble(self, item):
        os.kill(os.getpid(), signal.SIGSEGV)


class ReadsNull(HostileStage):
    """crashes in native code"""

    def trouble(self, item):
        ctypes.string_at(0)


class RaisesSigfpe(HostileStage):
    """sends itself SIGFPE"""

    def trouble(self, item):
        os.kill(os.getpid(), signal.SIGFPE)


class Aborts(HostileStage):
    """calls os.abort, as a failed assertion of a C++ library does"""

    def trouble(self, item):
        os.abort()


class StopsItself(HostileStage):
    """sends itself SIGSTOP"""

    def trouble(self, item):
        os.kill(os.getpid(), signal.SIGSTOP)


class SignalsItsGroup(HostileStage):
    """sends SIGTERM to its process group, as `kill 0` of a shell script does"""

    def trouble(self, item):
        os.kill(0, signal.SIGTERM)
        time.sleep(20.0)


class HoldsTheGil(HostileStage):
    """holds the GIL in native code"""

    def trouble(self, item):
        ctypes.PyDLL(None).sleep(600)


class CountsInHandler(HostileStage):
    """counts in its status, also in the handler of a timer"""

    def configure(self):
        signal.signal(signal.SIGALRM, lambda *_: self.status.count('alarms'))
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)

    def process(self, item):
        for number in range(20_000):
            self.status.set('rate', number)
            self.status.count('steps')
        return super().process(item)


class DumpsTracebackLater(HostileStage):
    """limits an item's time with faulthandler.dump_traceback_later(..., exit=True)"""

    def trouble(self, item):
        faulthandler.dump_traceback_later(0.3, exit=True)
        time.sleep(20.0)
