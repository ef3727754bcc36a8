# SPDX-License-Identifier: Apache-2.0
"""The package for colcon (ament_python). Name and version are those of package.xml."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

MANIFEST = ElementTree.parse(Path(__file__).parent / 'package.xml').getroot()
NAME = MANIFEST.findtext('name')
SHARE = f'share/{NAME}'

setup(
    name=NAME,
    version=MANIFEST.findtext('version'),
    description=' '.join(MANIFEST.findtext('description').split()),
    license=MANIFEST.findtext('license'),
    maintainer=MANIFEST.findtext('maintainer'),
    maintainer_email=MANIFEST.find('maintainer').get('email'),
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: ['py.typed', 'create/templates/*.template']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (SHARE, ['package.xml']),
        (f'{SHARE}/launch', sorted(glob('launch/*.launch.py'))),
        (f'{SHARE}/config', sorted(glob('config/*.*'))),
        (f'{SHARE}/config/hardware', sorted(glob('config/hardware/*'))),
        (f'{SHARE}/deploy', sorted(glob('deploy/*.service'))),
    ],
    install_requires=['setuptools'],
    extras_require={
        # What only the airside stages import: the framework runs without.
        'airside': ['opencv-python-headless', 'pillow', 'pymap3d', 'pymavlink', 'pyserial'],
        'msgpack': ['msgpack'],  # for states in that form
        'onnx': ['onnxruntime'],  # for the detector of that name
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            f'manager = {NAME}.cli:manager',
            f'monitor = {NAME}.cli:monitor',
            f'worker = {NAME}.cli:worker',
            f'mission = {NAME}.cli:mission',
            f'quarantine = {NAME}.cli:quarantine',
            f'create = {NAME}.cli:create',
        ],
    },
)
