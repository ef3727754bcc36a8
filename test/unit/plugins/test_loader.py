# SPDX-License-Identifier: Apache-2.0
"""A plugin that cannot be loaded is reported with what was found and what is near it."""

from __future__ import annotations

import pytest

from worker_pipeline.plugins.loader import PluginError, load_stage_class


@pytest.mark.parametrize(
    ('name', 'hint'),
    [('ContextAge', "; did you mean 'ContextAges'?"), ('Qqqqq', ''), ('Stagee', '')],
)
def test_a_missing_class_is_reported_with_the_nearest_stage_of_the_module(name, hint):
    with pytest.raises(PluginError) as raised:
        load_stage_class(f'support.echo_stages:{name}')
    found = f'support.echo_stages:{name}'
    assert str(raised.value) == f"found '{found}'; support.echo_stages has no '{name}'{hint}"
