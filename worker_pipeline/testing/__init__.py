# SPDX-License-Identifier: Apache-2.0
"""Tools for tests of pipelines, with pytest or launch_testing.

A test runs beside the pipeline, as a node that sees the same as any other node::

    from worker_pipeline.testing import PipelineProbe, wait_for

    with PipelineProbe('/airside') as probe:
        probe.wait_until_active('detect_target')
        answers = probe.collect('detect_target/output', PointCloud2)
        victim = probe.kill('detect_target/worker_0')
        probe.feed('detect_target/input', images)
        wait_for(lambda: len(answers) == len(images), 'an answer to each image')
        probe.wait_until_replaced('detect_target/worker_0', victim)

If no launch file has started the pipeline, ``with run_pipeline('detect.yaml') as probe`` does.
Every wait is bounded, and its error names the missing fact.
"""

from worker_pipeline.testing.domains import isolated_domain
from worker_pipeline.testing.probe import PipelineProbe
from worker_pipeline.testing.running import run_pipeline
from worker_pipeline.testing.waiting import WaitTimeoutError, wait_for

# The former names, kept for tests that use them.
NotSeenError = WaitTimeoutError
own_domain = isolated_domain

__all__ = [
    'NotSeenError',
    'PipelineProbe',
    'WaitTimeoutError',
    'isolated_domain',
    'own_domain',
    'run_pipeline',
    'wait_for',
]
