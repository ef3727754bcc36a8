# SPDX-License-Identifier: Apache-2.0
"""Talks much, and fails in many lines."""

print('manager: all is well')
raise ImportError('first line\nsecond line\n\x07third')
