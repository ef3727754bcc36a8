# SPDX-License-Identifier: Apache-2.0
"""Coordinates without ROS: rotations, poses, the pinhole camera and its lens, planar errors."""
