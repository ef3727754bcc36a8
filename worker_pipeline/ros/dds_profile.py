# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile of a process: the common profile and the process's own settings."""

from __future__ import annotations

from pathlib import Path

import attrs

from worker_pipeline.ros.rtps import discovery_port

# A new participant looks for the participants of this machine, and of static peers, with numbers
# below this one. Managers are among them.
PEERS = 32
# Size of each UDP socket's receive buffer, bytes; limited by the kernel's net.core.rmem_max. All
# participants announce their endpoints to a new one at once. The kernel's default of 0.2 MB loses
# part of that until it is repeated a second or more later; and parts of images.
RECEIVE_BUFFER = 4 * 1024 * 1024
# How long a silent participant counts as alive, s; others keep unacknowledged messages for it until
# then. On one machine a silent participant is dead. A link between two machines may recover: 20 s
# is the default of ROS 2.
LEASE, LEASE_ACROSS_MACHINES = 5, 20

_UDP = f"""<transport_id>udp</transport_id><type>UDPv4</type>
  <receiveBufferSize>{RECEIVE_BUFFER}</receiveBufferSize>
  <maxInitialPeersRange>{PEERS}</maxInitialPeersRange>"""
_LOOPBACK = '<interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>'
# An explicit unicast locator, even an empty one, keeps a participant from listening to multicast.
_NO_MULTICAST = '<metatrafficUnicastLocatorList><locator/></metatrafficUnicastLocatorList>'
_PEER = '<locator><udpv4><port>{}</port><address>{}</address></udpv4></locator>'
# A reader acknowledges messages, and requests missing ones, after each heartbeat of the writer:
# every 50 ms instead of 3 s. Fast DDS 2 (ROS 2 Jazzy) and 3 name it differently.
_WRITER_TIMES = '<times><{0}><sec>0</sec><nanosec>50000000</nanosec></{0}></times>'
_LEASE = '<leaseDuration><sec>{}</sec><nanosec>0</nanosec></leaseDuration>'
_HEARTBEAT_PERIOD = {2: 'heartbeatPeriod', 3: 'heartbeat_period'}


@attrs.frozen
class Transports:
    """The transports of a process: UDP without Fast DDS's shared memory.

    In shared memory a killed process can block its peers, some of them for ever.
    """

    loopback: bool  # only this machine
    peers: tuple[str, ...] = ()  # addresses of the other machines to look for
    lease: int = LEASE  # s

    @property
    def initial_peers(self) -> tuple[str, ...]:
        """Return the addresses to look for other participants; none: as in the discovery range."""
        return ('127.0.0.1', *self.peers) if self.loopback or self.peers else ()


def compose(
    common: Path,
    transports: Transports,
    number: int | None = None,
    *,
    domain: int = 0,
    version: int = 3,
) -> str:
    """Return the XML profile of a process.

    Args:
        common: Path of the common profile, ``config/fastdds.xml``.
        transports: The transports of the process.
        number: The number of its participant; None: chosen by Fast DDS.
        domain: Its domain.
        version: The major version of Fast DDS, 2 or 3.

    Raises:
        OSError: ``common`` cannot be read.
    """
    transport = _UDP + (_LOOPBACK if transports.loopback else '')
    of_rtps = _element('userTransports', _element('transport_id', 'udp'))
    of_rtps += _element('useBuiltinTransports', 'false')
    if number is not None:
        of_rtps += _element('participantID', str(number))
    descriptors = _element('transport_descriptor', transport)
    peers = ''.join(_PEER.format(*each) for each in _initial_peers(transports, domain))
    discovery = _NO_MULTICAST + _element('initialPeersList', peers) if peers else ''
    times = _WRITER_TIMES.format(_HEARTBEAT_PERIOD[version])
    text = common.read_text()
    for place, addition in (
        ('<profiles>', _element('transport_descriptors', descriptors)),
        ('<rtps>', of_rtps),
        ('<builtin>', discovery),
        ('<discovery_config>', _LEASE.format(transports.lease)),
        ('_writer" is_default_profile="true">', times),
    ):
        text = text.replace(place, place + addition, 1)
    return text


def _initial_peers(transports: Transports, domain: int) -> list[tuple[int, str]]:
    """Return the ports and addresses to announce a new participant at, in this order.

    Those that answer first come last, which are the nodes of this machine that started first: the
    new participant cannot receive before it has sent its announcement to all.
    """
    return [
        (discovery_port(domain, each), address)
        for each in reversed(range(PEERS))
        for address in reversed(transports.initial_peers)
    ]


def _element(tag: str, content: str) -> str:
    return f'<{tag}>{content}</{tag}>'
