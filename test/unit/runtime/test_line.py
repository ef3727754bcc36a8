"""Lines: what is said at one end is heard at the other, whole, in order, to the last word."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.children import child

from worker_pipeline.runtime import line
from worker_pipeline.runtime.line import Frame, Line
from worker_pipeline.runtime.line_server import LineServer
from worker_pipeline.runtime.manager_line import ManagerLine
from worker_pipeline.testing import wait_for

LARGE = 7_000_000
frames = st.builds(
    Frame,
    st.integers(1, 6),
    st.integers(0, 2**64 - 1),
    st.one_of(
        st.binary(max_size=50),
        st.builds(
            lambda byte, size: bytes([byte]) * size,
            st.integers(0, 255),
            st.integers(0, 3 * 256 * 1024),
        ),
    ),
)


@contextlib.contextmanager
def pair() -> Iterator[tuple[Line, Line]]:
    """Both ends of a line."""
    one, other = (Line(end) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def all_of(end: Line, count: int) -> list[Frame]:
    """So many frames, heard as they come."""
    heard: list[Frame] = []

    def enough() -> bool:
        heard.extend(end.receive())
        return len(heard) >= count

    wait_for(enough, f'{count} frames', seen=lambda: len(heard))
    return heard


@given(said=st.lists(frames, max_size=8))
def test_what_is_sent_without_waiting_arrives_whole_and_in_order(said):
    """Also what the socket has no room for at once: it is kept, and sent when there is."""
    with pair() as (one, other):
        heard: list[Frame] = []
        for frame in said:
            one.put(*frame)
            one.flush()
        while one.is_full:
            heard += other.receive()
            one.flush()
        heard += other.receive(everything=True)
        assert heard == said
        assert not other.ended


@given(said=st.lists(frames, max_size=8))
def test_what_is_sent_with_waiting_arrives_whole_and_in_order(said):
    """Whoever sends waits for whoever hears."""
    with pair() as (one, other):
        sender = threading.Thread(target=lambda: [one.send_all(*each) for each in said])
        sender.start()
        assert all_of(other, len(said)) == said
        sender.join()


@given(said=st.lists(frames, min_size=1, max_size=5), data=st.data())
def test_frames_are_found_however_the_stream_is_cut(said, data):
    """A socket knows no frames: any number of bytes may come at a time."""
    first, second = socket.socketpair()
    with first, second:
        sender, end = Line(first), Line(second)
        thread = threading.Thread(target=lambda: [sender.send_all(*each) for each in said])
        thread.start()
        stream = bytearray()
        while thread.is_alive() or select_readable(second):
            with contextlib.suppress(BlockingIOError):
                stream += second.recv(1 << 20, socket.MSG_DONTWAIT)
        cut = data.draw(st.integers(0, len(stream)))
        heard = []
        for part in (stream[:cut], stream[cut:]):
            for at in range(0, len(part), 100_000):
                first.sendall(part[at : at + 100_000])
                heard += end.receive(everything=True)
        assert heard == said


def select_readable(of: socket.socket) -> bool:
    """Whether there is something to be read."""
    try:
        return bool(of.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_what_was_said_before_a_death_is_heard_after_it():
    """And half a frame is none."""
    with pair() as (one, other):
        one.send_all(line.OUTPUT, 1, b'first')
        one.send_all(line.OUTPUT, 2, bytes(1000))
        one._socket.send(b'\5\0\0\0')
        one.close()
        heard = other.receive(everything=True)
        assert heard == [(line.OUTPUT, 1, b'first'), (line.OUTPUT, 2, bytes(1000))]
        assert other.ended
        assert other.receive() == []


def test_to_talk_to_the_dead_is_no_error():
    """Nobody can know in time; who reads finds out."""
    with pair() as (one, other):
        other.close()
        for _ in range(3):
            one.put(line.ITEM, 1, b'lost')
            one.flush()
            one.send_all(line.ITEM, 1, bytes(LARGE))
        assert not one.is_full
        assert one.receive() == []
        assert one.ended


def test_a_large_frame_leaves_others_their_turn():
    """One look takes some megabytes at most."""
    with pair() as (one, other):
        thread = threading.Thread(target=one.send_all, args=(line.OUTPUT, 1, bytes(4 * LARGE)))
        thread.start()
        looks = 0
        heard: list[Frame] = []
        while not heard:
            heard = other.receive()
            looks += 1
        thread.join()
        assert looks > 3
        assert heard == [(line.OUTPUT, 1, bytes(4 * LARGE))]


@pytest.mark.parametrize('length', [0, 150])
def test_a_path_may_be_longer_than_the_kernel_takes(tmp_path, length):
    """A namespace has no limit that a socket's address would have."""
    folder = tmp_path / ('x' * length)
    folder.mkdir(exist_ok=True)
    path = folder / 'line'
    assert line.connect(path) is None
    with line.listen(path) as listener:
        caller = line.connect(path)
        connection, _ = listener.accept()
        connection.close()
        caller.close()
    assert line.connect(path) is None, 'nobody listens any more'
    line.listen(path).close()  # what is left there is in nobody's way


# -- both ends -----------------------------------------------------------------------------------


class Manager:
    """A server on a thread of its own, and what it heard."""

    def __init__(self, path: Path) -> None:
        self.calls: list = []
        self.heard: list[Frame] = []
        self.lines: list[Line] = []
        self.welcome = True
        self._bell = threading.Event()
        self._ends = False
        self.server = LineServer(path, self.call_soon, self.on_hello)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def call_soon(self, call) -> None:
        self.calls.append(call)
        self._bell.set()

    def on_hello(self, of: Line, frame: Frame):
        if not self.welcome:
            return None
        self.lines.append(of)
        self.heard.append(frame)
        return self.heard.extend

    def _run(self) -> None:
        while not self._ends:
            self._bell.wait()
            self._bell.clear()
            while self.calls:
                self.calls.pop(0)()

    def do(self, call) -> None:
        """Have something done on its thread, and wait for it."""
        done = threading.Event()
        self.call_soon(lambda: (call(), done.set()))
        assert done.wait(5.0)

    def send(self, *frame) -> None:
        self.do(lambda: self.server.send(self.lines[-1], *frame))

    def close(self) -> None:
        self.do(self.server.close)
        self._ends = True
        self._bell.set()
        self._thread.join()


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'line'


@pytest.fixture
def manager(path):
    made = Manager(path)
    yield made
    made.close()


class Worker:
    """The worker's end, and what it heard."""

    def __init__(self, path: Path) -> None:
        self.heard: list[Frame] = []
        self.has = [b'nothing']
        self.line = ManagerLine(path, self.hello, self.heard.append)

    def hello(self) -> list[Frame]:
        return [Frame(line.HELLO, 0, self.has[0]), Frame(line.STATE, 0, b'active')]

    def wait_for(self, count: int) -> None:
        """As a main thread does."""
        deadline = time.monotonic() + 10.0
        while len(self.heard) < count:
            assert time.monotonic() < deadline, f'{len(self.heard)} of {count} frames'
            self.line.fetch(wait=True)


@pytest.fixture
def worker(path):
    made = Worker(path)
    yield made
    made.line.close()


def test_a_worker_says_hello_and_is_answered(manager, worker):
    """The hello comes first, then all in the order in which it is said."""
    assert worker.line.connect()
    worker.line.send(line.OUTPUT, 7, b'done')
    wait_for(lambda: len(manager.heard) == 3, 'what it says')
    assert [each.kind for each in manager.heard] == [line.HELLO, line.STATE, line.OUTPUT]
    assert manager.lines[0].peer_pid == os.getpid()
    manager.send(line.ITEM, 8, b'item')
    manager.send(line.REQUEST, 0, b'activate')
    worker.wait_for(2)
    assert worker.heard == [(line.ITEM, 8, b'item'), (line.REQUEST, 0, b'activate')]


def test_what_is_put_off_comes_with_the_next_and_before_it(manager, worker):
    """Nobody is woken for it alone; and it need not wait for ever."""
    assert worker.line.connect()
    wait_for(lambda: len(manager.lines) == 1, 'the hello')
    manager.do(lambda: manager.server.put_off(manager.lines[0], line.RELEASE, 1, b'frame'))
    manager.send(line.ITEM, 2, b'item')
    worker.wait_for(2)
    assert [each.kind for each in worker.heard] == [line.RELEASE, line.ITEM]
    manager.do(lambda: manager.server.put_off(manager.lines[0], line.RELEASE, 3, b'frame'))
    worker.line.send(line.STATE, 0, b'active')
    worker.wait_for(3)
    assert worker.heard[2] == (line.RELEASE, 3, b'frame')


def test_much_is_said_in_both_directions_at_once(manager, worker):
    """Camera frames that no socket has room for; nobody waits for the other for ever."""
    assert worker.line.connect()
    wait_for(lambda: len(manager.lines) == 1, 'the hello')
    count = 20

    def talk() -> None:
        for number in range(count):
            worker.line.send(line.OUTPUT, number, bytes([number]) * LARGE)

    talker = threading.Thread(target=talk)
    manager.do(
        lambda: [
            manager.server.send(manager.lines[0], line.ITEM, number, bytes([number]) * LARGE)
            for number in range(count)
        ]
    )
    talker.start()
    worker.wait_for(count)
    talker.join()
    wait_for(lambda: len(manager.heard) == 2 + count, 'all answers')
    for heard in (worker.heard, manager.heard[2:]):
        assert [each.number for each in heard] == list(range(count))
        assert all(each.body == bytes([each.number]) * LARGE for each in heard)


def test_without_a_manager_there_is_no_line(worker):
    """What is said then is said to nobody; whoever waits can be called."""
    assert not worker.line.connect()
    assert not worker.line.connected
    worker.line.send(line.OUTPUT, 1, b'lost')
    threading.Timer(0.05, worker.line.ring).start()
    worker.line.fetch(wait=True)


def give_one_item_and_end(path: Path, worker: Worker) -> None:
    """A manager that a worker has called, and that is gone when the worker reads its item."""
    first = Manager(path)
    assert worker.line.connect()
    wait_for(lambda: first.lines, 'the hello')
    first.send(line.ITEM, 1, b'one')
    first.close()


def test_the_end_of_a_manager_is_noticed_and_the_next_one_is_told_everything(path, worker):
    """What the first had sent is taken, whenever it is read."""
    give_one_item_and_end(path, worker)
    worker.wait_for(1)
    worker.line.fetch(wait=False)
    assert not worker.line.connected
    second = Manager(path)
    worker.has[0] = b'1'
    assert worker.line.connect()
    wait_for(lambda: len(second.heard) == 2, 'the second hello')
    assert second.heard[0].body == b'1'
    second.send(line.ITEM, 2, b'two')
    worker.wait_for(2)
    assert [each.number for each in worker.heard] == [1, 2]
    second.close()


def test_what_was_not_read_yet_is_read_before_the_next_hello(path, worker):
    """Or the hello would not tell of it."""
    give_one_item_and_end(path, worker)
    second = Manager(path)
    assert worker.line.connect()
    assert [each.number for each in worker.heard] == [1]
    second.close()


def test_the_main_thread_follows_to_the_next_line(path, worker):
    """It waits on the old one while another thread connects."""
    first = Manager(path)
    assert worker.line.connect()
    thread = threading.Thread(target=worker.wait_for, args=(1,))
    thread.start()
    first.close()
    second = Manager(path)
    assert worker.line.connect()
    wait_for(lambda: second.lines, 'the second hello')
    second.send(line.ITEM, 1, b'one')
    thread.join(5.0)
    assert not thread.is_alive()
    second.close()


def test_who_is_not_welcome_is_hung_up_on(manager, worker):
    """He may call again."""
    manager.welcome = False
    assert worker.line.connect()

    def is_hung_up_on() -> bool:
        worker.line.fetch(wait=False)
        return not worker.line.connected

    wait_for(is_hung_up_on, 'the end of the line')
    manager.welcome = True
    assert worker.line.connect()
    wait_for(lambda: manager.lines, 'the hello')


def test_who_does_not_say_hello_is_hung_up_on(manager, path):
    """Frames without a beginning belong to nobody."""
    stranger = line.connect(path)
    stranger.send_all(line.OUTPUT, 1, b'whose?')
    wait_for(lambda: stranger.receive() or stranger.ended, 'the end of the line')
    assert manager.heard == []
    stranger.close()


def test_the_last_words_of_a_killed_process_are_heard(manager, path):
    """They were sent, whoever reads them later."""
    code = f"""
import os, signal
from pathlib import Path
from worker_pipeline.runtime import line
one = line.connect(Path({str(path)!r}))
one.send_all(line.HELLO)
for number in range(100):
    one.send_all(line.OUTPUT, number, bytes(1000))
os.kill(os.getpid(), signal.SIGKILL)
"""
    with child(code) as process:
        assert process.line() == ''
    wait_for(lambda: manager.lines, 'the hello')
    manager.do(lambda: manager.server.read(manager.lines[0], to_the_end=True))
    assert [each.number for each in manager.heard[1:]] == list(range(100))
    assert manager.lines[0].fileno() < 0


def test_many_lines_are_closed_without_a_trace(path):
    """Each comes and goes; no descriptor stays."""
    made = Manager(path)
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(200):
        caller = line.connect(path)
        caller.send_all(line.HELLO)
        caller.close()
    wait_for(lambda: len(made.heard) == 200, 'all hellos')
    wait_for(lambda: len(os.listdir('/proc/self/fd')) <= before, 'all ends')
    made.close()
    assert not path.exists()
