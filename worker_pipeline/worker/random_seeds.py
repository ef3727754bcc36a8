# SPDX-License-Identifier: Apache-2.0
"""Random numbers that differ between forked processes.

A fork has the state of its parent's random number generators. ``random`` of the standard library
seeds itself anew in every fork; numpy's global generator (``np.random.rand`` and so on), torch and
OpenCV do not: all workers, and all replacements, would draw the same numbers. Nor do torch and
OpenCV when they are imported: they begin with a constant.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SEEDED = ('torch', 'cv2')


def seed_in_forks() -> None:
    """Have numpy's generator seeded in every fork of this process, and in forks of these.

    As ``random`` does it. A stage that seeds in its own process, as in ``configure``, keeps that.
    """
    os.register_at_fork(after_in_child=seed_numpy)


def seed_all() -> None:
    """Seed the generators of this process, which was just forked and has a single thread.

    With other threads, torch and OpenCV could wait for a lock that no thread of the fork holds.
    Those that a stage imports later are seeded then: theirs is the same number in every process.
    """
    seed_numpy()
    for name in SEEDED:
        _seed(name)
    if not any(isinstance(each, _SeedsOnImport) for each in sys.meta_path):
        sys.meta_path.insert(0, _SeedsOnImport())


def _seed(name: str) -> None:
    module: Any = sys.modules.get(name)
    with contextlib.suppress(Exception):  # one that is only half loaded
        if module is not None and name == 'torch':
            module.seed()
        elif module is not None:
            module.setRNGSeed(secrets.randbits(31))


class _SeedsOnImport(importlib.abc.MetaPathFinder):
    """Seeds torch and OpenCV when they have been imported."""

    def __init__(self) -> None:
        self._finding: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - a part of the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return the module's spec, with a loader that seeds it; None for other modules."""
        if fullname not in SEEDED or fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._finding.discard(fullname)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            loader.exec_module = partial(_load_and_seed, fullname, loader.exec_module)
        return spec


def _load_and_seed(name: str, load: Callable[[ModuleType], None], module: ModuleType) -> None:
    load(module)
    _seed(name)


def seed_numpy() -> None:
    """Seed numpy's global generator, if it is loaded; without its lock, which may be held."""
    random = sys.modules.get('numpy.random')
    with contextlib.suppress(Exception):
        if random is None:
            return
        if hasattr(random, 'set_bit_generator'):  # since numpy 1.24
            random.set_bit_generator(random.MT19937())
        else:
            random.seed()
