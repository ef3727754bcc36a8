# SPDX-License-Identifier: Apache-2.0
"""Reports of the targets to the ground: over MAVLink, and as files."""
