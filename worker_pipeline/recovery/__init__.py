# SPDX-License-Identifier: Apache-2.0
"""The state that outlives a process that dies."""
