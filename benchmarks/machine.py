# SPDX-License-Identifier: Apache-2.0
"""The machine on which the figures were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from pathlib import Path

import psutil

ROS = {7: 'Jazzy', 9: 'Kilted'}


def describe() -> dict[str, str]:
    """Return a description of the machine and its software."""
    rclpy = importlib.metadata.version('rclpy')
    distribution = ROS.get(int(rclpy.partition('.')[0]), '')
    return {
        'date': time.strftime('%Y-%m-%d'),
        'processor': f'{_processor()}, {os.cpu_count()} CPUs',
        'memory': f'{psutil.virtual_memory().total / 1e9:.0f} GB',
        'system': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        'ros': f'ROS 2 {distribution} (rclpy {rclpy}), '
        f'{os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")}',
    }


def busy_cpus(seconds: float = 0.5) -> float:
    """Return the number of busy CPUs."""
    return psutil.cpu_percent(seconds) / 100.0 * (os.cpu_count() or 1)


def _processor() -> str:
    try:
        found = re.search(r'model name\s*: (.+)', Path('/proc/cpuinfo').read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()
