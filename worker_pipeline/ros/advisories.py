# SPDX-License-Identifier: Apache-2.0
"""Whether the Fast DDS in use has published vulnerabilities that its newer releases have not."""

from __future__ import annotations

import re
from pathlib import Path

Version = tuple[int, int, int]

# By release line: the first patch release with the security fixes that SECURITY.md names. Lines
# that are not listed, up to the newest one here, are not maintained any more.
FIXED = {(2, 6): 12, (2, 14): 7, (3, 2): 5, (3, 4): 3}
_MAPPED = re.compile(r'(/\S*)/libfast(?:dds|rtps)\.so\.\d\S*')
_FILE = re.compile(r'libfast(?:dds|rtps)\.so\.(\d+)\.(\d+)\.(\d+)')


def fast_dds_version() -> Version | None:
    """Return the version of the Fast DDS library in this process; None if there is none."""
    try:
        mapped = _MAPPED.search(Path('/proc/self/maps').read_text())
        # It may be mapped by a name with two numbers; the file with all three is beside it.
        names = [each.name for each in Path(mapped[1]).glob('libfast*.so.*')] if mapped else []
    except OSError:
        return None
    found = [match for name in names if (match := _FILE.fullmatch(name))]
    return max(((int(each[1]), int(each[2]), int(each[3])) for each in found), default=None)


def has_advisories(version: Version) -> bool:
    """Return whether a version of Fast DDS lacks published security fixes."""
    line, patch = version[:2], version[2]
    return line <= max(FIXED) and patch < FIXED.get(line, patch + 1)


def advisory_warning(version: Version | None, *, is_reachable: bool) -> str:
    """Return what is to be logged at the start; '' for nothing.

    Args:
        version: of the Fast DDS in use; None for another middleware.
        is_reachable: whether other machines can send to the pipeline.
    """
    if version is None or not is_reachable or not has_advisories(version):
        return ''
    return (
        f'Fast DDS {".".join(map(str, version))} has published vulnerabilities, by which whoever '
        'can send to its ports can end its processes, with SROS 2 or without; keep strangers out '
        'of the network, or install a fixed release (SECURITY.md)'
    )
