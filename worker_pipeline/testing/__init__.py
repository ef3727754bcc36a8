"""What tests of a pipeline need, their own and ours: with launch_testing, with pytest, by hand.

A test stands beside the pipeline, a node of its own, and sees what anybody can see::

    from worker_pipeline.testing import PipelineProbe, wait_for

    with PipelineProbe('/airside') as probe:
        probe.wait_until_active('detect_target')
        answers = probe.collect('detect_target/output', PointCloud2)
        victim = probe.kill('detect_target/worker_0')
        probe.feed('detect_target/input', images)
        wait_for(lambda: len(answers) == len(images), 'an answer to each image')
        probe.wait_until_replaced('detect_target/worker_0', victim)

Every wait has an end, and says what did not come.
"""

from worker_pipeline.testing.domains import own_domain
from worker_pipeline.testing.probe import PipelineProbe
from worker_pipeline.testing.waiting import NotSeenError, wait_for

__all__ = ['NotSeenError', 'PipelineProbe', 'own_domain', 'wait_for']
