# SPDX-License-Identifier: Apache-2.0
"""The manager's process: its nodes, its stages, and their resources."""
