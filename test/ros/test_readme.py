# SPDX-License-Identifier: Apache-2.0
"""The README's smallest stage works as printed: its files are written and its script is run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from support.documents import DOCS, blocks
from support.manager_process import ManagerProcess, python_path

from worker_pipeline.testing import wait_for

README = DOCS.parent / 'README.md'


def test_the_smallest_stage_loses_nothing_when_its_worker_is_killed(domain, tmp_path):
    """A thousand answers, and another process in the place of the killed worker."""
    files = {block.file: block.text for block in blocks(README) if block.file}
    assert [*files] == ['echo_stage.py', 'echo.yaml']
    (script,) = [block for block in blocks(README) if block.before.startswith('`try_echo.py`')]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / 'try_echo.py').write_text(script.text)
    path = os.pathsep.join([str(tmp_path), python_path()])
    manager = ManagerProcess(tmp_path, files['echo.yaml'], domain, environment={'PYTHONPATH': path})
    try:
        done = subprocess.run(
            [sys.executable, 'try_echo.py'],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
            cwd=tmp_path,
            env=os.environ
            | {
                'PYTHONPATH': path,
                'ROS_DOMAIN_ID': str(domain),
                'ROS_LOG_DIR': str(tmp_path),
            },
        )
        assert done.returncode == 0, f'{done.stdout}\n{manager.output}'
        told = r'1000 answers; worker_0 was process (\d+) and is now process (\d+)'
        victim, successor = re.fullmatch(told, done.stdout.splitlines()[-1]).groups()
        assert victim != successor
        manager.signal(signal.SIGINT)
        assert manager.wait() == 0
        wait_for(lambda: not manager.relatives(), 'the end of every process')
    finally:
        manager.close()
