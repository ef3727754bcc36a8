# SPDX-License-Identifier: Apache-2.0
"""A worker's process: its node, and the user's stage in it."""
