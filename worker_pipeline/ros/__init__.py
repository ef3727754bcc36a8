# SPDX-License-Identifier: Apache-2.0
"""Additions to rclpy, and the set-up of ROS 2 and DDS."""
