# SPDX-License-Identifier: Apache-2.0
"""Tools of the launch tests. Needs ``launch``, ``launch_ros`` and ``launch_testing``."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch_ros.substitutions import FindPackageShare

from support.env_marked import MARK, find_marked
from support.manager_process import python_path
from worker_pipeline.testing import isolated_domain, wait_for

PACKAGE = 'worker_pipeline'


def need_installed_package() -> None:
    """Skip the module unless the package is installed, as launch looks for it there."""
    try:
        command = Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE / 'manager'
    except PackageNotFoundError:
        command = None
    if command is None or not command.exists():
        pytest.skip(f'{PACKAGE} is not installed: colcon build', allow_module_level=True)


class LaunchScene:
    """A folder, a ROS domain and a mark for all processes of one launch, until ``close``."""

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()
        self.folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory()))
        self.domain = self._resources.enter_context(isolated_domain())
        self.environment = {
            'ROS_DOMAIN_ID': str(self.domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONPATH': python_path(),
            'ROS_HOME': str(self.folder / 'ros_home'),
            MARK: str(self.folder),
        }

    @property
    def full_environment(self) -> dict[str, str]:
        """Return the environment for a process that a test starts by itself."""
        return os.environ | self.environment

    def actions(self) -> list[SetEnvironmentVariable]:
        """Return the actions that have to come first in a launch description."""
        return [SetEnvironmentVariable(*each) for each in self.environment.items()]

    def parameters(self, parameters: dict[str, Any], name: str = 'parameters.yaml') -> Path:
        """A parameter file."""
        path = self.folder / name
        path.write_text(yaml.safe_dump({'/**/manager': {'ros__parameters': parameters}}))
        return path

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the launch that still live."""
        return find_marked(str(self.folder))

    def close(self) -> None:
        """End all processes of the launch that are left."""
        try:
            wait_for(lambda: not self.processes(), 'the end of it all', seen=self.processes)
        finally:
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._resources.close()


def include(launch_file: str, **arguments: str) -> IncludeLaunchDescription:
    """Return an action that includes one of the package's launch files."""
    share = FindPackageShare(PACKAGE)
    return IncludeLaunchDescription(
        [share, f'/launch/{launch_file}'], launch_arguments=arguments.items()
    )
