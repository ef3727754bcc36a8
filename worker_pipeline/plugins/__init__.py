# SPDX-License-Identifier: Apache-2.0
"""The users' stage classes, found and checked."""
