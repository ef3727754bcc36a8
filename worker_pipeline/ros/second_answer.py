# SPDX-License-Identifier: Apache-2.0
"""Has the nodes of this machine answer a new participant a second time.

Fast DDS (2.14 to 3.6) announces a new participant before that can receive: what arrives until it
has sent its announcement to all is dropped. The nodes that know it then have answered, which they
do once, and announce themselves again after 3 s, unless their settings are ours. Until then they
hear nothing of it. With both cores busy that happens to every second new participant.

They answer any new participant, wherever that says it listens. So another one is announced for a
moment, which has nothing but the new participant's port: the answers to it arrive there.
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
