# SPDX-License-Identifier: Apache-2.0
"""Stores of quarantined items, and both forms that their files may have."""

from __future__ import annotations

import pytest
from support.quarantined_items import without_mcap

from worker_pipeline.quarantine.store import QuarantineStore


@pytest.fixture(params=['mcap', 'plain'])
def form(request, monkeypatch):
    """Both forms a file may have."""
    if request.param == 'mcap':
        pytest.importorskip('mcap')
    else:
        without_mcap(monkeypatch)
    return request.param


@pytest.fixture
def errors():
    return []


@pytest.fixture
def make_store(tmp_path, errors):
    """Make stores that are closed at the end, on a folder that is not there yet."""
    stores = []

    def make(folder=tmp_path / 'quarantine', **options):
        stores.append(QuarantineStore(folder, on_error=errors.append, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close(5.0)
