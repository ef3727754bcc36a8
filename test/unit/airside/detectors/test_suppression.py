# SPDX-License-Identifier: Apache-2.0
"""Of overlapping boxes the most confident stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker_pipeline.airside.detectors.suppression import suppress_overlaps

BOX = st.tuples(
    st.integers(-20, 100), st.integers(-20, 100), st.integers(1, 60), st.integers(1, 60)
).map(lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3]))
# Different confidences: which of two equal ones stays is unspecified.
FOUND = st.lists(st.tuples(BOX, st.integers(0, 2)), max_size=25).flatmap(
    lambda found: st.permutations(range(len(found))).map(
        lambda ranks: [(*each, rank) for each, rank in zip(found, ranks, strict=True)]
    )
)
# Not a possible overlap of two such boxes, so that rounding decides nothing.
OVERLAPS = st.sampled_from([0.1234567, 0.4567891, 0.7891234])


def overlap_of(one, other):
    """Return intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both)


def kept(found, overlap):
    boxes = np.array([box for box, _, _ in found], float).reshape(-1, 4)
    classes = np.array([each for _, each, _ in found], np.intp)
    confidences = np.array([(rank + 1) / 100 for _, _, rank in found])
    return list(suppress_overlaps(boxes, confidences, classes, overlap))


@given(FOUND, OVERLAPS)
def test_a_box_is_kept_unless_it_overlaps_a_more_confident_kept_box(found, overlap):
    """By definition: in order of confidence, each box is kept or overlaps one that is kept."""
    expected = []
    for index in sorted(range(len(found)), key=lambda each: -found[each][2]):
        box, label, _ = found[index]
        rivals = [found[other] for other in expected if found[other][1] == label]
        if all(overlap_of(box, rival[0]) <= overlap for rival in rivals):
            expected.append(index)
    assert kept(found, overlap) == expected


@given(FOUND, OVERLAPS)
def test_suppression_is_idempotent(found, overlap):
    once = [found[index] for index in kept(found, overlap)]
    assert kept(once, overlap) == list(range(len(once)))
