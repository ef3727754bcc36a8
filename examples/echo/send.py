# SPDX-License-Identifier: Apache-2.0
"""Send three items to the stage, and print the answers."""

from std_msgs.msg import Header

from worker_pipeline.testing import PipelineProbe, wait_for

with PipelineProbe('/airside') as probe:
    answers = probe.collect('echo/output', Header)
    probe.wait_until_active('echo')  # and until the stage has discovered this subscription
    for word in ('one', 'two', 'three'):
        # Two items with the same stamp would be one, and stamp 0 is rejected.
        stamp = probe.node.get_clock().now().to_msg()
        probe.feed('echo/input', [Header(stamp=stamp, frame_id=word)])
    wait_for(lambda: len(answers) == 3, 'three answers')

for each in answers:
    print(each.frame_id)
