"""Where on the ground something is, and how sure that is."""
