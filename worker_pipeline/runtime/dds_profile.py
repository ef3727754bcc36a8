"""The Fast DDS profile of a process: what all have in common, and what is its own."""

from __future__ import annotations

from pathlib import Path

import attrs

# How many participants of this machine, or of a static peer, a newcomer looks for by itself: those
# numbered below. A manager is one of them.
PEERS = 32
# Room for nine camera frames: 1920 x 1200 x 3 bytes are 6.9 MB. A frame that finds none is sent
# again later, up to 3 s later. Fast DDS takes the room whole.
ROOM_FOR_FRAMES = 64 * 1024 * 1024
# How long others wait for a participant that they do not hear any more, s; until then they keep for
# it what it has not acknowledged. On one machine nobody is out of reach without being dead. A link
# between two machines may be cut and come back: 20 s is what every other node of ROS 2 has.
LEASE, LEASE_ACROSS_MACHINES = 5, 20

_UDP = f"""<transport_id>udp</transport_id><type>UDPv4</type>
  <maxInitialPeersRange>{PEERS}</maxInitialPeersRange>"""
_SHARED_MEMORY = '<transport_id>shared_memory</transport_id><type>SHM</type>'
_LOOPBACK = '<interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>'
# An address of its own to be announced at, though it says nothing, keeps a participant from
# listening to multicast as well.
_LOOPBACK_DISCOVERY = """
  <metatrafficUnicastLocatorList><locator/></metatrafficUnicastLocatorList>
  <initialPeersList><locator><udpv4><address>127.0.0.1</address></udpv4></locator></initialPeersList>"""
# A reader acknowledges, and asks for what it misses, when it hears the writer's heartbeat: within
# 50 ms instead of 3 s. Fast DDS 2, of ROS 2 Jazzy, and 3 have different names for it.
_WRITER_TIMES = '<times><{0}><sec>0</sec><nanosec>50000000</nanosec></{0}></times>'
_LEASE = '<leaseDuration><sec>{}</sec><nanosec>0</nanosec></leaseDuration>'
_HEARTBEAT_PERIOD = {2: 'heartbeatPeriod', 3: 'heartbeat_period'}


@attrs.frozen
class Transports:
    """How a process talks to others: by UDP, and perhaps by Fast DDS's shared memory too.

    There a process that is killed may hold up those it talked to.
    """

    loopback: bool  # UDP keeps to this machine
    shared_memory: bool = False
    room: int = 0  # bytes in shared memory for what is sent; 0 for Fast DDS's own, half a megabyte
    lease: int = LEASE  # s


def compose(
    common: Path, transports: Transports, number: int | None = None, *, version: int = 3
) -> str:
    """The profile of a process: ``common`` (``config/fastdds.xml``) and what is its own.

    ``number`` is its participant's; None leaves it to Fast DDS. ``version``: of Fast DDS, 2 or 3.
    Raises OSError where ``common`` cannot be read.
    """
    described = {'udp': _UDP + (_LOOPBACK if transports.loopback else '')}
    if transports.shared_memory:
        room = _element('segment_size', str(transports.room)) if transports.room else ''
        described['shared_memory'] = _SHARED_MEMORY + room
    of_rtps = _element(
        'userTransports', ''.join(_element('transport_id', name) for name in described)
    ) + _element('useBuiltinTransports', 'false')
    if number is not None:
        of_rtps += _element('participantID', str(number))
    descriptors = ''.join(_element('transport_descriptor', each) for each in described.values())
    times = _WRITER_TIMES.format(_HEARTBEAT_PERIOD[version])
    text = common.read_text()
    for place, addition in (
        ('<profiles>', _element('transport_descriptors', descriptors)),
        ('<rtps>', of_rtps),
        ('<builtin>', _LOOPBACK_DISCOVERY if transports.loopback else ''),
        ('<discovery_config>', _LEASE.format(transports.lease)),
        ('_writer" is_default_profile="true">', times),
    ):
        text = text.replace(place, place + addition, 1)
    return text


def _element(tag: str, content: str) -> str:
    return f'<{tag}>{content}</{tag}>'
