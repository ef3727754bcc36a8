"""Plugins that no manager can use; what each does while it is imported is in its name."""
