# SPDX-License-Identifier: Apache-2.0
"""Runs the hostile stages: ``python -m hostile [NAME ...]``; names of groups or of cases."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

import attrs

from hostile.case import Group
from hostile.run import Report, run, run_refused
from hostile.table import PIPELINES, REFUSALS
from worker_pipeline.testing import isolated_domain


def main() -> int:
    """Run the command; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog='python -m hostile', description=__doc__)
    parser.add_argument('names', nargs='*', help='groups or cases (default: all)')
    parser.add_argument('--alone', action='store_true', help='each case in a pipeline of its own')
    parser.add_argument('--verbose', action='store_true', help='print the logs too')
    parser.add_argument('--settle', type=float, default=100.0, help='s to wait (default: 100)')
    parser.add_argument('--json', type=Path, help='also write what was broken to this file')
    options = parser.parse_args()
    groups = [
        attrs.evolve(group, cases=tuple(cases))
        for group in PIPELINES
        if (
            cases := [
                each
                for each in group.cases
                if not options.names or {group.name, each.name} & {*options.names}
            ]
        )
    ]
    if options.alone:
        groups = [
            Group(case.name, (case,), group.title, group.settings)
            for group in groups
            for case in group.cases
        ]
    broken: dict[str, dict[str, list[str]]] = {}
    for group in groups:
        broken[group.name] = _report(
            group.name,
            lambda domain, folder, group=group: run(group, domain, folder, options.settle),
            options.verbose,
        )
    if not options.names or 'refused' in options.names:
        broken['refused'] = _report(
            'refused', lambda domain, folder: run_refused(REFUSALS, domain, folder), options.verbose
        )
    if options.json:
        options.json.write_text(json.dumps(broken, indent=1))
    return int(any(broken.values()))


def _report(name, call, verbose) -> dict[str, list[str]]:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='hostile_') as folder, isolated_domain() as domain:
        report: Report = call(domain, Path(folder))
    if verbose:
        print(report.output)
    print(f'{name}: {len(report.problems)} broken, {time.monotonic() - begun:.1f} s', flush=True)
    for case, found in report.problems.items():
        print(f'  {case or "the pipeline"}: {"; ".join(found)}', flush=True)
    return report.problems


if __name__ == '__main__':
    sys.exit(main())
