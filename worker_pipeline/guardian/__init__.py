# SPDX-License-Identifier: Apache-2.0
"""The process that a user starts: it starts managers, one after the other."""
