# SPDX-License-Identifier: Apache-2.0
"""The old import path of the reader of quarantined items."""

from worker_pipeline.quarantine.store import QuarantinedItem, QuarantineStore, read

__all__ = ['QuarantineStore', 'QuarantinedItem', 'read']
