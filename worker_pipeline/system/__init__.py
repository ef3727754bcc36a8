# SPDX-License-Identifier: Apache-2.0
"""Linux: processes, files, systemd. No ROS."""
