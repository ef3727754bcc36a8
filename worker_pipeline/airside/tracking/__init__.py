# SPDX-License-Identifier: Apache-2.0
"""Tracking: the assignment of sightings to targets, and a filter per target."""
