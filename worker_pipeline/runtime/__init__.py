# SPDX-License-Identifier: Apache-2.0
"""Old import paths that are documented; new code imports from the rooms themselves."""
