"""A folder of images."""

from __future__ import annotations

import cv2
import pytest
from support.fake_camera import SIZE, number_of, picture

from worker_pipeline import EndOfStream, StageStatus
from worker_pipeline.airside.cameras.image_folder import ImageFolder


@pytest.fixture
def folder(tmp_path):
    """Three images, what is none, and half of one that is being written."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), picture(number))
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / '.3.png').write_text('half an image')
    return tmp_path


def test_its_images_come_by_their_names(folder):
    images = ImageFolder(str(folder), 0.0, StageStatus())
    assert (images.rate, images.size) == (10.0, SIZE)
    assert [number_of(images.read(index)) for index in (0, 1, 2, 1)] == [0, 1, 2, 1]
    with pytest.raises(EndOfStream):
        images.read(3)


def test_an_image_that_cannot_be_read_is_told(folder):
    (folder / '1.png').write_text('broken')
    images = ImageFolder(str(folder), 5.0, StageStatus())
    assert images.read(1) is None
    assert images.trouble.endswith('1.png is not an image that OpenCV can read')
    assert number_of(images.read(2)) == 2
    assert images.trouble == ''
    assert images._status.values == {'unreadable': '1'}


def test_the_size_is_not_known_of_a_first_image_that_cannot_be_read(folder):
    (folder / '0.png').write_text('broken')
    assert ImageFolder(str(folder), 0.0, StageStatus()).size is None
