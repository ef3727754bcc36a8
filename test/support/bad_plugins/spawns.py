"""Starts a process that lives on."""

import subprocess

subprocess.Popen(['sleep', '1000'])
