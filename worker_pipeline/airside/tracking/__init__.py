"""Whose sighting is whose, and where all of them say that it is."""
