# SPDX-License-Identifier: Apache-2.0
"""A Fast DDS with published vulnerabilities is named where other machines can reach it."""

from __future__ import annotations

import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from worker_pipeline.ros import dds
from worker_pipeline.ros.advisories import advisory_warning, fast_dds_version, has_advisories
from worker_pipeline.ros.dds_profile import Transports


@pytest.mark.parametrize(
    ('version', 'expected'),
    [
        *[((3, 2, 2), True), ((3, 2, 3), True), ((3, 2, 4), True), ((3, 2, 5), False)],
        *[((2, 14, 5), True), ((2, 14, 7), False), ((2, 6, 11), True), ((2, 6, 12), False)],
        *[((3, 3, 1), True), ((2, 10, 9), True), ((3, 4, 2), True), ((3, 4, 3), False)],
        *[((3, 5, 0), False), ((4, 0, 0), False)],
    ],
)
def test_versions_before_the_fixed_release_of_their_line_have_advisories(version, expected):
    """Lines that are not maintained have them all; those that are newer have none known."""
    assert has_advisories(version) is expected


def test_only_a_pipeline_that_others_can_reach_is_warned():
    """It is one line, with the version."""
    old, new = (3, 2, 3), (3, 2, 5)
    assert advisory_warning(old, is_reachable=True).startswith('Fast DDS 3.2.3 has published')
    assert advisory_warning(old, is_reachable=False) == ''
    assert advisory_warning(new, is_reachable=True) == ''
    assert advisory_warning(None, is_reachable=True) == ''


def test_a_pipeline_is_reachable_unless_it_sends_to_loopback_only():
    """Static peers open it too."""
    for transports, expected in [
        (Transports(loopback=True), False),
        (Transports(loopback=False, peers=('10.0.0.1',)), True),
        (Transports(loopback=False), True),
    ]:
        assert dds.is_reachable(dds.Settings('fastdds.xml', transports)) is expected
    assert dds.is_reachable(None)


def test_the_library_that_is_loaded_is_the_one_that_counts():
    """Whatever a package manager says; rclpy has loaded it, if it is Fast DDS."""
    is_fast_dds = str(get_rmw_implementation_identifier()).startswith('rmw_fastrtps')
    version = fast_dds_version()
    assert (version is not None) is is_fast_dds
    assert version is None or version > (2, 0, 0)
