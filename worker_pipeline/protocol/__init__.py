# SPDX-License-Identifier: Apache-2.0
"""The protocol between the manager and its workers."""
