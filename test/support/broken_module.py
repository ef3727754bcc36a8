"""A plugin whose import fails."""

VALUE = 1 / 0
