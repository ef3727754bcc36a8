# SPDX-License-Identifier: Apache-2.0
"""Raises a BaseException."""

raise KeyboardInterrupt
