# SPDX-License-Identifier: Apache-2.0
"""A module that loads a model when it is imported."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from std_msgs.msg import Header

from hostile.hostile_stage import HostileStage


def _model() -> bytes:
    """Return a model that doubles its input."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ('x', 'y')]
    node = helper.make_node('Add', ['x', 'x'], ['y'])
    graph = helper.make_graph([node], 'twice', values[:1], values[1:])
    opset = helper.make_opsetid('', 13)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


SESSION = onnxruntime.InferenceSession(_model(), providers=['CPUExecutionProvider'])


class LoadsModelAtImport(HostileStage):
    """loads an onnxruntime session at import and at class level"""

    own = onnxruntime.InferenceSession(_model(), providers=['CPUExecutionProvider'])

    def process(self, item):
        for session in (SESSION, self.own):
            session.run(None, {'x': np.ones(2, np.float32)})
        return Header(frame_id=item.frame_id)
