# SPDX-License-Identifier: Apache-2.0
"""Has the nodes of this machine answer a new participant a second time.

Fast DDS (2.14 to 3.6) announces a new participant before that can receive: it drops all messages
that arrive until its announcement is sent to every port. Nodes that have answered by then do not
answer again; they announce themselves only 3 s later, unless their settings are ours. Until then
the new participant does not know them. With both cores busy that happens to every second one.

Nodes answer each new participant at the port in its announcement. So this module announces another
participant for a moment, with the port of the new one and no endpoints: the answers arrive there.
"""

from __future__ import annotations

import contextlib
import os
import socket

from worker_pipeline.ros.dds_profile import PEERS
from worker_pipeline.ros.rtps import PREFIX_SIZE, announcement, discovery_port

# How long others remember the other participant, s.
LEASE = 1


def ask_for_second_answer(domain: int, number: int) -> None:
    """Have the participants of this machine announce themselves to one that can receive now.

    Those with numbers of workers and spares do so five times a second, and are not asked.

    Args:
        domain: Its domain.
        number: Its number.
    """
    message = announcement(os.urandom(PREFIX_SIZE), discovery_port(domain, number), LEASE)
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in range(PEERS):
            if each != number:
                with contextlib.suppress(OSError):
                    sender.sendto(message, ('127.0.0.1', discovery_port(domain, each)))
