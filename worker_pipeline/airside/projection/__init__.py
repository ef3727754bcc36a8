# SPDX-License-Identifier: Apache-2.0
"""Projection of pixels onto the ground, with the uncertainty of the result."""
