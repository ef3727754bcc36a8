# SPDX-License-Identifier: Apache-2.0
"""Changes of the interpreter, its modules and its library."""

from __future__ import annotations

import builtins
import decimal
import gc
import importlib
import logging
import logging.config
import random
import sys
import threading
import time
import warnings

import numpy as np
import std_msgs.msg

from hostile.hostile_stage import HostileStage


class LowersRecursionLimit(HostileStage):
    """sets a recursion limit of 150"""

    def configure(self):
        sys.setrecursionlimit(150)


class RecursesWithoutEnd(HostileStage):
    """recurses without end"""

    def trouble(self, item):
        return self.trouble(item)


class ClearsSysPath(HostileStage):
    """clears sys.path and puts modules of its own in place of known ones"""

    def configure(self):
        sys.path.clear()
        for name in ('json', 'socket', 'traceback'):
            sys.modules[name] = type(sys)(name)


class ForgetsModules(HostileStage):
    """removes rclpy and its messages from sys.modules"""

    def configure(self):
        for name in list(sys.modules):
            if name.partition('.')[0] in ('rclpy', 'std_msgs', 'worker_pipeline'):
                del sys.modules[name]


class ReloadsMessages(HostileStage):
    """reloads the module of a message, and returns one of the new class"""

    def trouble(self, item):
        module = importlib.reload(sys.modules[std_msgs.msg.Header.__module__])
        return module.Header(frame_id=item.frame_id)


class FreezesGarbage(HostileStage):
    """disables the garbage collector"""

    def configure(self):
        gc.disable()
        gc.freeze()


class SeedsRandom(HostileStage):
    """seeds every generator with 0"""

    def configure(self):
        random.seed(0)
        np.random.seed(0)


class RaisesOnWarnings(HostileStage):
    """makes errors of warnings, and of lost results in decimal and numpy"""

    def configure(self):
        warnings.simplefilter('error')
        decimal.getcontext().traps[decimal.Inexact] = True
        np.seterr(all='raise')

    def trouble(self, item):
        return np.float64(1.0) / np.float64(0.0)


class Traces(HostileStage):
    """sets sys.settrace and sys.setprofile, for all threads too"""

    def configure(self):
        sys.settrace(self._see)
        threading.settrace(self._see)
        sys.setprofile(self._see)

    def _see(self, *_):
        return self._see


class StopsTheClock(HostileStage):
    """replaces time.time, time.monotonic and time.sleep, as test tools do"""

    def configure(self):
        time.time = lambda: 0.0
        time.monotonic = lambda: 0.0
        time.monotonic_ns = time.time_ns = lambda: 0
        time.sleep = lambda _: None


class PatchesBuiltins(HostileStage):
    """replaces print, open and threading.Thread by functions that raise"""

    def configure(self):
        builtins.print = builtins.open = self._fail
        threading.Thread.start = self._fail

    def _fail(self, *_, **__):
        raise RuntimeError('replaced')


class LogsAtAllSeverities(HostileStage):
    """logs at every severity, from the same line too"""

    def configure(self):
        for level in (
            logging.DEBUG,
            logging.INFO,
            logging.WARNING,
            logging.ERROR,
            logging.CRITICAL,
        ):
            self.logger.log(level, 'at level %d', level)

    def trouble(self, item):
        self.configure()
        return super().trouble(item)


class LogsBadFormat(HostileStage):
    """logs with arguments that do not fit, and text that cannot be encoded"""

    def trouble(self, item):
        self.logger.info('%d', None)
        self.logger.info('%s', BadText())
        self.logger.warning('a lone surrogate: \udcff, and a zero: \0.')
        return super().trouble(item)


class BadText(Exception):
    """An exception without a text."""

    def __str__(self):
        raise RuntimeError('no text')

    __repr__ = __str__


class RaisesBadException(HostileStage):
    """raises an exception whose __str__ raises"""

    def trouble(self, item):
        raise BadText


class OpaqueError(Exception):
    """An exception that shows nothing of itself."""

    @property
    def __traceback__(self):
        raise RuntimeError('no traceback')

    @property
    def __class__(self):
        raise RuntimeError('no class')


class RaisesOpaqueException(HostileStage):
    """raises an exception of which reading an attribute raises"""

    def trouble(self, item):
        raise OpaqueError('words')


class ReconfiguresLogging(HostileStage):
    """calls logging.config.dictConfig, as a library does, and then raises"""

    def configure(self):
        logging.config.dictConfig({'version': 1})
        logging.disable(logging.CRITICAL)
        logging.raiseExceptions = True

    def trouble(self, item):
        raise ValueError('after dictConfig')


class LogsHugely(HostileStage):
    """logs a line of 2 MB and prints 20,000 lines"""

    def trouble(self, item):
        self.logger.info('x' * 2_000_000)
        for number in range(20_000):
            print('line', number)
        return super().trouble(item)


class PrintsWithoutNewline(HostileStage):
    """prints 5 MB without a newline, and bytes that are no text"""

    def trouble(self, item):
        sys.stdout.write('y' * 5_000_000)
        sys.stdout.flush()
        sys.stdout.buffer.write(b'\xff\xfe\x00\n')
        return super().trouble(item)


class RaisesHugeText(HostileStage):
    """raises an exception with a text of 10 MB"""

    def trouble(self, item):
        raise ValueError('x' * 10_000_000)


class RaisesChain(HostileStage):
    """raises an exception that is its own cause"""

    def trouble(self, item):
        error = ValueError('the cause of itself')
        error.__cause__ = KeyError('between')
        error.__cause__.__cause__ = error
        raise error


class RaisesStopIteration(HostileStage):
    """raises StopIteration, as next() does"""

    def trouble(self, item):
        return next(iter(()))


class NeedsTooMuchMemory(HostileStage):
    """asks for more memory than there is"""

    def trouble(self, item):
        return bytearray(1 << 46)


class CallsBreakpoint(HostileStage):
    """has a breakpoint() left in"""

    def trouble(self, item):
        breakpoint()
        return super().trouble(item)
