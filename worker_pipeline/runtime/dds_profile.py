"""The Fast DDS profile of a process: what all have in common, and what is its own."""

from __future__ import annotations

from pathlib import Path

import attrs

# How many participants of this machine, or of a static peer, a newcomer looks for by itself: those
# numbered below. A manager is one of them.
PEERS = 32
# Room in each UDP socket for what has come and is not read yet, bytes; the kernel allows so much as
# its net.core.rmem_max. All others tell a newcomer at once what they have: in the kernel's default
# of 0.2 MB part of that is lost, and told again a second or more later. So are parts of an image.
RECEIVE_BUFFER = 4 * 1024 * 1024
# How long others wait for a participant that they do not hear any more, s; until then they keep for
# it what it has not acknowledged. On one machine nobody is out of reach without being dead. A link
# between two machines may be cut and come back: 20 s is what every other node of ROS 2 has.
LEASE, LEASE_ACROSS_MACHINES = 5, 20

_UDP = f"""<transport_id>udp</transport_id><type>UDPv4</type>
  <receiveBufferSize>{RECEIVE_BUFFER}</receiveBufferSize>
  <maxInitialPeersRange>{PEERS}</maxInitialPeersRange>"""
_LOOPBACK = '<interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>'
# An address of its own to be announced at, though it says nothing, keeps a participant from
# listening to multicast as well.
_NO_MULTICAST = '<metatrafficUnicastLocatorList><locator/></metatrafficUnicastLocatorList>'
_PEER = '<locator><udpv4><address>{}</address></udpv4></locator>'
# A reader acknowledges, and asks for what it misses, when it hears the writer's heartbeat: within
# 50 ms instead of 3 s. Fast DDS 2, of ROS 2 Jazzy, and 3 have different names for it.
_WRITER_TIMES = '<times><{0}><sec>0</sec><nanosec>50000000</nanosec></{0}></times>'
_LEASE = '<leaseDuration><sec>{}</sec><nanosec>0</nanosec></leaseDuration>'
_HEARTBEAT_PERIOD = {2: 'heartbeatPeriod', 3: 'heartbeat_period'}


@attrs.frozen
class Transports:
    """How a process talks to others: by UDP, and not by Fast DDS's shared memory.

    There a process that is killed can hold up those it talked to, some of them for good.
    """

    loopback: bool  # it keeps to this machine
    peers: tuple[str, ...] = ()  # addresses of the only other machines that it looks for
    lease: int = LEASE  # s

    @property
    def looked_for(self) -> tuple[str, ...]:
        """The addresses at which it looks for others; none: wherever the discovery range says."""
        return ('127.0.0.1', *self.peers) if self.loopback or self.peers else ()


def compose(
    common: Path, transports: Transports, number: int | None = None, *, version: int = 3
) -> str:
    """The profile of a process: ``common`` (``config/fastdds.xml``) and what is its own.

    ``number`` is its participant's; None leaves it to Fast DDS. ``version``: of Fast DDS, 2 or 3.
    Raises OSError where ``common`` cannot be read.
    """
    transport = _UDP + (_LOOPBACK if transports.loopback else '')
    of_rtps = _element('userTransports', _element('transport_id', 'udp'))
    of_rtps += _element('useBuiltinTransports', 'false')
    if number is not None:
        of_rtps += _element('participantID', str(number))
    descriptors = _element('transport_descriptor', transport)
    peers = ''.join(_PEER.format(each) for each in transports.looked_for)
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


def _element(tag: str, content: str) -> str:
    return f'<{tag}>{content}</{tag}>'
