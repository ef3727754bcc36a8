# SPDX-License-Identifier: Apache-2.0
"""Plugins that no manager can use; the name of each is its effect on import."""
