# SPDX-License-Identifier: Apache-2.0
"""A plugin that fails on import."""

VALUE = 1 / 0
