"""What an autopilot tells over MAVLink, as ROS has it: axes, time, odometry.

``axes`` turns axes, ``vehicle_clock`` times, ``parser`` bytes into messages, ``telemetry`` messages
into states of the vehicle. ``conversation`` is one side of the talk, without any link; ``link`` and
``link_thread`` are the link.
"""
