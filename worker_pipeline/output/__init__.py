# SPDX-License-Identifier: Apache-2.0
"""The output of the manager and its workers: read, stamped and written without blocking them."""
