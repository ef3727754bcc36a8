# SPDX-License-Identifier: Apache-2.0
"""The smallest stage."""

from std_msgs.msg import Header

from worker_pipeline import Stage


class Echo(Stage[Header, Header]):
    """Answer each item with the item itself."""

    # Any message whose first field is a std_msgs/Header, or Header itself: an item is identified
    # by its stamp. The types in the brackets above are for type checkers, and may be left out.
    input_type = Header
    output_type = Header

    def process(self, item: Header) -> Header:
        return item
