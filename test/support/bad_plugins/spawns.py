# SPDX-License-Identifier: Apache-2.0
"""Starts a process that lives on."""

import subprocess

subprocess.Popen(['sleep', '1000'])
