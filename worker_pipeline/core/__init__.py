"""The decisions: no ROS, no clock, no I/O. Events and the time go in, facts and actions come out."""
