# SPDX-License-Identifier: Apache-2.0
"""The layouts for RViz and Foxglove show topics that there are, as what they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from support.fake_messages import tf2_msgs, vision_msgs, visualization_msgs

from worker_pipeline.airside.detectors import shown
from worker_pipeline.airside.flight_interface import FlightInterface
from worker_pipeline.airside.geolocation import Geolocation
from worker_pipeline.airside.geometry.pinhole import MOUNTING
from worker_pipeline.airside.messages import markers, transforms, vision
from worker_pipeline.plugins.loader import load_stage_class
from worker_pipeline.ros import message_types
from worker_pipeline.topic import message_type_of

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / 'config'
RVIZ = yaml.safe_load((CONFIG / 'airside.rviz').read_text())
FOXGLOVE = json.loads((CONFIG / 'airside_foxglove.json').read_text())
PIPELINE = yaml.safe_load((CONFIG / 'airside.yaml').read_text())['/**/manager']['ros__parameters']

# By the class of an RViz display: the name of the message it shows.
SHOWN = {'Odometry': 'Odometry', 'MarkerArray': 'MarkerArray', 'Image': 'Image'}


@pytest.fixture(autouse=True)
def all_packages(monkeypatch):
    monkeypatch.setattr(markers, 'TYPES', visualization_msgs())
    monkeypatch.setattr(vision, 'TYPES', vision_msgs())
    monkeypatch.setattr(transforms, 'TYPES', tf2_msgs())


def type_of(topic: str) -> str:
    """Return the name of the class of a stage's topic."""
    _, namespace, stage, name = topic.split('/', 3)
    assert namespace == 'airside'
    stage_class = load_stage_class(PIPELINE[stage]['plugin'])
    if name == 'output':
        return stage_class.output_type.__name__
    declared = {**stage_class.topics, **markers.marker_topics(), **vision.topics_3d()}
    if stage in ('geolocation', 'cluster_estimation', 'detect_target'):
        return message_type_of(declared[name]).__name__
    return message_type_of(stage_class.topics[name]).__name__


def rviz_displays():
    displays = RVIZ['Visualization Manager']['Displays']
    return [(each['Class'].rpartition('/')[2], each) for each in displays if 'Topic' in each]


@pytest.mark.parametrize(('kind', 'display'), rviz_displays())
def test_a_display_of_rviz_shows_a_topic_of_its_type(kind, display):
    topic = display['Topic']
    assert type_of(topic['Value']) == SHOWN[kind]
    is_large = f'sensor_msgs/msg/{kind}' == 'sensor_msgs/msg/Image'
    assert topic['Reliability Policy'] == ('Best Effort' if is_large else 'Reliable')


def test_the_fixed_frame_and_that_of_the_vehicle_are_those_of_the_stages():
    manager = RVIZ['Visualization Manager']
    assert manager['Global Options']['Fixed Frame'] == Geolocation.parameters['frame_id'].default
    follower = manager['Views']['Saved'][0]['Target Frame']
    assert follower == FlightInterface.parameters['child_frame_id'].default
    assert follower == Geolocation.parameters['body_frame_id'].default
    assert FOXGLOVE['configById']['3D!flight']['followTf'] == 'map'


def test_foxglove_shows_topics_that_there_are():
    panels = FOXGLOVE['configById']
    found = {topic: type_of(topic) for topic in panels['3D!flight']['topics']}
    assert sorted(found.values()) == ['MarkerArray', 'MarkerArray', 'Odometry']
    assert type_of(panels['Image!detections']['imageMode']['imageTopic']) == 'CompressedImage'
    assert panels['DiagnosticSummary!pipeline']['topicToRender'] == '/diagnostics'


def test_every_panel_of_foxglove_has_its_place():
    placed = re.findall(r'"([A-Za-z0-9]+![a-z]+)"', json.dumps(FOXGLOVE['layout']))
    assert sorted(placed) == sorted(FOXGLOVE['configById'])


def test_the_layouts_are_installed():
    """By the pattern of setup.py for the folder."""
    assert "glob('config/*.*')" in (ROOT / 'setup.py').read_text()


def test_the_reference_pipeline_shows_the_ground_in_view_of_every_image():
    assert PIPELINE['geolocation']['context'] == {'odometry': 'flight_interface'}
    assert set(MOUNTING) <= set(Geolocation.parameters)
    assert message_types.name_of(shown.TOPICS[shown.PLAIN]) == 'sensor_msgs/msg/Image'
