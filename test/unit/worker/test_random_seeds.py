# SPDX-License-Identifier: Apache-2.0
"""Forked processes draw different random numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.manager_process import python_path

pytestmark = pytest.mark.slow  # most of these start a Python process

FORK = """
import os, random, sys
import numpy as np
from worker_pipeline.worker import random_seeds

def draw():
    numbers = np.random.rand(), np.random.normal(), np.random.randint(10**9)
    return [random.random(), *numbers]

def forked(call, count=3):
    for _ in range(count):
        if not os.fork():
            call()
            os._exit(0)
        os.wait()

def show():
    print(draw(), flush=True)
"""


def run(code: str, **environment: str) -> list[str]:
    """Run Python code after ``FORK``; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, '-c', FORK + code],
        env=os.environ | {'PYTHONPATH': python_path(), **environment},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def columns(lines: list[str]) -> list[set[str]]:
    """Return the different numbers in each place of the printed lists."""
    return [
        set(each) for each in zip(*(line.strip('[]').split(', ') for line in lines), strict=True)
    ]


def test_forks_and_their_forks_draw_different_numbers():
    """Of every kind, from the generators of the standard library and of numpy."""
    lines = run('random_seeds.seed_in_forks(); forked(lambda: (show(), forked(show, 2)))')
    assert [len(each) for each in columns(lines)] == [9, 9, 9, 9]


def test_the_parent_keeps_its_numbers():
    """A stage that seeds in its process, and starts others, draws what it has seeded."""
    code = 'random_seeds.seed_in_forks(); np.random.seed(5); forked(lambda: None); '
    assert run(code + 'print(np.random.rand(2))') == ['[0.22199317 0.87073231]']


def test_a_stage_may_seed_as_ever():
    """The numbers of a seed are those that they have always been."""
    code = """
def seeded():
    np.random.seed(5)
    print(np.random.rand(2), flush=True)

random_seeds.seed_in_forks()
forked(seeded)
"""
    assert set(run(code)) == {'[0.22199317 0.87073231]'}


def test_a_fork_waits_for_no_lock_that_another_thread_holds():
    """That thread does not exist in the fork."""
    code = """
random_seeds.seed_in_forks()
lock = np.random.mtrand._rand._bit_generator.lock
with lock:
    forked(show, 1)
"""
    assert len(run(code)) == 1


def test_an_older_numpy_is_seeded_too():
    """It cannot replace its generator."""
    code = 'del np.random.set_bit_generator; forked(lambda: (random_seeds.seed_all(), show()))'
    assert [len(each) for each in columns(run(code))] == [3, 3, 3, 3]


@pytest.mark.parametrize('loaded', [True, False])
def test_torch_and_opencv_are_seeded_if_they_are_loaded(loaded: bool):
    """Nothing is imported for it."""
    code = f"""
from types import SimpleNamespace
seeds = []
if {loaded}:
    sys.modules['torch'] = SimpleNamespace(seed=lambda: seeds.append('torch'))
    sys.modules['cv2'] = SimpleNamespace(setRNGSeed=lambda seed: seeds.append('cv2'))
random_seeds.seed_all()
print(seeds, 'torch' in sys.modules, 'cv2' in sys.modules)
"""
    expected = "['torch', 'cv2'] True True" if loaded else '[] False False'
    assert run(code) == [expected]


def test_a_library_that_is_half_loaded_is_no_error():
    """It has no attributes yet."""
    code = """
from types import SimpleNamespace
for name in ('torch', 'cv2', 'numpy.random'):
    sys.modules[name] = SimpleNamespace()
random_seeds.seed_all()
print('done')
"""
    assert run(code) == ['done']


DRAWS = {
    'cv2': 'cv2.randu(numbers := np.zeros(1), 0, 1); print(numbers[0])',
    'torch': 'print(torch.drawn())',
}
# What matters of torch: its generator begins with a constant.
TORCH = """
seeds = [67280421310721]
seed = lambda: seeds.append(1)
drawn = lambda: len(seeds)
"""


@pytest.mark.parametrize('before', [True, False])
def test_opencv_draws_different_numbers_whenever_a_stage_imports_it(before: bool):
    """Before the fork, or afterwards: in its module, or in ``configure``."""
    pytest.importorskip('cv2')
    code = f"""
if {before}:
    import cv2
def draw_cv2():
    random_seeds.seed_all()
    import cv2
    {DRAWS['cv2']}
    sys.stdout.flush()
forked(draw_cv2)
"""
    assert len(set(run(code))) == 3


def test_what_a_stage_seeds_itself_after_an_import_is_kept():
    pytest.importorskip('cv2')
    code = f"""
random_seeds.seed_all()
import cv2
for _ in range(2):
    cv2.setRNGSeed(5)
    random_seeds.seed_numpy()
    import cv2
    {DRAWS['cv2']}
"""
    assert len(set(run(code))) == 1


def test_torch_is_seeded_when_it_is_imported(tmp_path):
    """Once, and its submodules are not."""
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch' / '__init__.py').write_text(TORCH)
    (tmp_path / 'torch' / 'nn.py').write_text('')
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
random_seeds.seed_all(); random_seeds.seed_all()
import torch, torch.nn
{DRAWS['torch']}
"""
    assert run(code) == ['2']


def test_a_library_that_is_not_there_is_not_found():
    """As without us."""
    code = """
random_seeds.seed_all()
sys.path[:] = []
try:
    import torch
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == ["No module named 'torch'"]
