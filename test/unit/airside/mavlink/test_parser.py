# SPDX-License-Identifier: Apache-2.0
"""Messages in arbitrary streams of bytes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v10 import common as version_1
from pymavlink.dialects.v20 import common

from worker_pipeline.airside.mavlink.parser import MessageParser


def frames(count, module=common):
    """Return this many different messages as packets."""
    sender = module.MAVLink(None, 1, 1)
    made = []
    for number in range(count):
        message = module.MAVLink_local_position_ned_message(number, *(6 * [number + 0.5]))
        made.append(bytes(message.pack(sender)))
        sender.seq = (sender.seq + 1) % 256
    return made


def numbers(messages):
    return [each.time_boot_ms for each in messages]


def fed(parser, data, size=7):
    found = []
    for at in range(0, len(data), size):
        found += parser.feed(data[at : at + size])
    return found


@pytest.mark.parametrize('module', [common, version_1], ids=['MAVLink 2', 'MAVLink 1'])
@pytest.mark.parametrize('size', [1, 7, 1000])
def test_messages_are_found_however_the_stream_is_split(module, size):
    parser = MessageParser()
    assert numbers(fed(parser, b''.join(frames(20, module)), size)) == list(range(20))
    assert (parser.bad_bytes, parser.bad_frames) == (0, 0)


def test_garbage_between_messages_loses_none_of_them():
    """Including garbage that looks like the start of a packet of maximum length."""
    good = frames(6)
    garbage = [
        b'abc',
        b'\xfd',
        b'\xfd\xff',
        b'\xfd\xff\x00\x00\x01\x01\x01\x20\x00\x00',
        b'\xfe\xff',
    ]
    data = b''.join(a + b for a, b in zip(good, [*garbage, b''], strict=True)) + 300 * b'\0'
    parser = MessageParser()
    assert numbers(fed(parser, data)) == list(range(6))
    assert parser.bad_bytes == sum(map(len, garbage)) + 300
    assert parser.bad_frames > 0


def test_only_a_damaged_or_truncated_message_is_lost():
    """Whichever byte is damaged, and however many are missing at its end."""
    first, middle, last = frames(3)
    for at in range(len(middle)):
        damaged = bytearray(middle)
        damaged[at] ^= 0x55
        for bad in (bytes(damaged), middle[:at]):
            parser = MessageParser()
            found = fed(parser, first + bad + last + 300 * b'\0')
            assert [n for n in numbers(found) if n != 1] == [0, 2], (at, bad.hex())
            assert len(found) == 2


def test_a_signed_message_is_accepted():
    sender = common.MAVLink(None, 1, 1)
    sender.signing.secret_key = bytes(32)
    sender.signing.sign_outgoing = True
    message = common.MAVLink_local_position_ned_message(1, 1, 2, 3, 4, 5, 6)
    signed = bytes(message.pack(sender))
    assert numbers(MessageParser().feed(signed + frames(1)[0])) == [1, 0]


def test_unknown_messages_are_counted_and_skipped():
    unknown = bytearray(frames(1)[0])
    unknown[7:10] = (0xFF, 0xFF, 0x70)
    parser = MessageParser()
    assert numbers(parser.feed(bytes(unknown) + frames(1)[0])) == [0]
    assert (parser.unknown, parser.bad_bytes) == (1, 0)


def test_messages_with_unknown_incompatibility_flags_are_rejected():
    """Packets with unknown incompatibility flags."""
    strange = bytearray(frames(1)[0])
    strange[2] = 0x02
    parser = MessageParser()
    assert numbers(parser.feed(bytes(strange) + frames(1)[0] + 300 * b'\0')) == [0]


@given(st.binary(max_size=400), st.randoms(use_true_random=False))
def test_any_bytes_are_survived(garbage, shuffled):
    """After any bytes and any fragments of packets, the next valid messages are found."""
    torn = bytearray(b''.join(frames(5)))
    for _ in range(shuffled.randrange(20)):
        torn[shuffled.randrange(len(torn))] = shuffled.randrange(256)
    parser = MessageParser()
    fed(parser, garbage + bytes(torn))
    good = b''.join(frames(30))
    assert 29 in numbers(fed(parser, good))


def test_every_known_message_with_any_payload_is_survived():
    """With a valid checksum and any payload: it is returned or rejected."""
    chance = random.Random(1)
    parser = MessageParser()
    sent = 0
    for number, kind in common.mavlink_map.items():
        for _ in range(3):
            payload = chance.randbytes(kind.unpacker.size)
            header = bytes([0xFD, len(payload), 0, 0, 0, 1, 1, *number.to_bytes(3, 'little')])
            crc = common.x25crc(header[1:] + payload + bytes([kind.crc_extra])).crc
            sent += len(parser.feed(header + payload + crc.to_bytes(2, 'little')))
    assert sent == 3 * len(common.mavlink_map)
