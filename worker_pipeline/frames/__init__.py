# SPDX-License-Identifier: Apache-2.0
"""Frames: large message data in shared memory."""
