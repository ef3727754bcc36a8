# SPDX-License-Identifier: Apache-2.0
"""A folder of images."""

from __future__ import annotations

import cv2
import pytest
from support.fake_camera import SIZE, number_of, picture

from worker_pipeline import EndOfStream, StageStatus
from worker_pipeline.airside.cameras.image_folder import ImageFolder


@pytest.fixture
def folder(tmp_path):
    """Three images, one file that is not an image, and one that is still being written."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), picture(number))
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / '.3.png').write_text('half an image')
    return tmp_path


def test_images_are_read_in_the_order_of_their_names(folder):
    images = ImageFolder(str(folder), 0.0, StageStatus())
    assert (images.rate, images.size) == (10.0, SIZE)
    assert [number_of(images.read(index)) for index in (0, 1, 2, 1)] == [0, 1, 2, 1]
    with pytest.raises(EndOfStream):
        images.read(3)


def test_an_unreadable_image_is_reported(folder):
    (folder / '1.png').write_text('broken')
    images = ImageFolder(str(folder), 5.0, StageStatus())
    assert images.read(1) is None
    assert images.error_message.endswith('1.png is not an image that OpenCV can read')
    assert number_of(images.read(2)) == 2
    assert images.error_message == ''
    assert images._status.values == {'unreadable': '1'}


def test_the_size_is_unknown_if_the_first_image_is_unreadable(folder):
    (folder / '0.png').write_text('broken')
    assert ImageFolder(str(folder), 0.0, StageStatus()).size is None
