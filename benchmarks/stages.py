"""The stage of every benchmark: gives back what it is given."""

from __future__ import annotations

from typing import Any

from std_msgs.msg import Header

from worker_pipeline import Stage


class Echo(Stage):
    """Does nothing, so that what is measured is the pipeline."""

    input_type = Header
    output_type = Header

    def process(self, item: Any) -> Any:
        return item
