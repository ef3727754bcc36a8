"""The lifecycle nodes: they carry events to the core and its actions to processes and topics."""
