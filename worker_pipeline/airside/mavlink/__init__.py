# SPDX-License-Identifier: Apache-2.0
"""MAVLink from an autopilot, converted to ROS: axes, time, odometry.

``axes`` converts axes, ``vehicle_clock`` times, ``parser`` bytes to messages, ``telemetry``
messages to states of the vehicle. ``session`` is our side of the protocol, without a link; ``link``
and ``link_thread`` are the link.
"""
