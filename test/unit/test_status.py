"""What a stage says of itself."""

from __future__ import annotations

from std_msgs.msg import Header

from worker_pipeline import Stage, StageStatus


class Plain(Stage):
    input_type = Header
    output_type = Header


def test_every_stage_has_one_of_its_own():
    """Nothing is said of one by another; a class that is not bound has one too."""
    one, other = Plain().bind(), Plain().bind()
    one.status.warn('cold')
    assert (one.status.level, one.status.message) == ('warn', 'cold')
    assert (other.status.level, other.status.message) == ('ok', '')
    assert isinstance(Plain().status, StageStatus)


def test_it_holds_until_it_is_taken_back():
    """The last word counts; what is shown stays."""
    status = StageStatus()
    status.error('no camera')
    status.set('camera', '/dev/video0')
    status.count('missed')
    status.count('missed', 3)
    assert status.told() == ('error', 'no camera', {'camera': '/dev/video0', 'missed': '4'})
    status.ok()
    assert status.told()[:2] == ('ok', '')
