"""What touches the operating system and the wire: processes, plugins, serialised bytes, DDS."""
