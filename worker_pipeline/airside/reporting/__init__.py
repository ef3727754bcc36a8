"""What the ground is told, and how: by MAVLink, and as files."""
