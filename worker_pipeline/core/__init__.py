# SPDX-License-Identifier: Apache-2.0
"""The decisions: no ROS, no clock, no I/O. Events and the time in, facts and actions out."""
