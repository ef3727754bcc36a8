# SPDX-License-Identifier: Apache-2.0
"""A node, a clock and a logger for tests without ROS: they keep their arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterable
from types import SimpleNamespace
from typing import Any

NANOSECONDS = 10**9


class FakeClock:
    """A monotonic clock that the test advances; it stands in for the module ``time``."""

    CLOCK_BOOTTIME = 7

    def __init__(self, now: float = 100.0) -> None:
        self.now = now
        self.suspended = 0.0  # for how long the machine was, s

    def clock_gettime(self, clock: int) -> float:
        assert clock == self.CLOCK_BOOTTIME
        return self.now + self.suspended

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return 0.0

    def monotonic_ns(self) -> int:
        return int(self.now * NANOSECONDS)

    def time_ns(self) -> int:
        return int(self.now * NANOSECONDS)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeRosClock:
    """A node's clock, which shows the time of a fake clock."""

    ros_time_is_active = False

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now(self) -> Any:
        stamp = SimpleNamespace(sec=int(self._clock.now), nanosec=0)
        return SimpleNamespace(nanoseconds=self._clock.time_ns(), to_msg=lambda: stamp)


class FakeLogger:
    """A logger that keeps its messages by level."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.throttled: list[str] = []  # those of which one in a while is shown

    def _add(self, texts: list[str], text: str, throttle_duration_sec: float = 0.0) -> None:
        texts.append(text)
        if throttle_duration_sec:
            self.throttled.append(text)

    def info(self, text: str, **options: float) -> None:
        self._add(self.infos, text, **options)

    def warning(self, text: str, **options: float) -> None:
        self._add(self.warnings, text, **options)

    def error(self, text: str, **options: float) -> None:
        self._add(self.errors, text, **options)


class FakePublisher:
    """A publisher that keeps its messages."""

    def __init__(self, topic_name: str, profile: Any = None) -> None:
        self.topic_name = topic_name
        self.profile = profile
        self.messages: list[Any] = []
        self.subscribers = 0
        self.is_acked = True
        self.waits: list[float] = []  # s, of each call of ``wait_for_all_acked``

    def publish(self, message: Any) -> None:
        self.messages.append(message)

    def get_subscription_count(self) -> int:
        return self.subscribers

    def wait_for_all_acked(self, timeout: Any) -> bool:
        self.waits.append(timeout.nanoseconds / NANOSECONDS)
        return self.is_acked


class FakeStatus:
    """What DDS knows of a subscription: the test sets it."""

    def __init__(self) -> None:
        self.lost = 0
        self.publishers = 0
        self.refused: Any = None
        self.is_destroyed = False

    def _take(self, name: str, empty: Any) -> Any:
        assert not self.is_destroyed
        value = getattr(self, name)
        setattr(self, name, empty)
        return value

    def take_lost(self) -> int:
        return int(self._take('lost', 0))

    def take_refused_policy(self) -> Any:
        return self._take('refused', None)

    def publisher_count(self) -> int:
        assert not self.is_destroyed
        return self.publishers

    def destroy(self) -> None:
        self.is_destroyed = True


class FakeHandle(contextlib.nullcontext[None]):
    """The handle of a subscription: the test adds the messages that wait there."""

    def __init__(self) -> None:
        super().__init__()
        self.unread: list[Any] = []

    def take_message(self, _type: Any, is_raw: bool) -> tuple[Any, dict[str, int]] | None:
        assert is_raw
        return (self.unread.pop(0), {}) if self.unread else None


class FakeNode:
    """The parts of a node that stages use. Endpoints are kept by topic while they exist."""

    executor: Any = None
    state: Any = 'unconfigured'

    def __init__(self, name: str, clock: FakeClock, namespace: str = '/airside') -> None:
        self.fake_name = name
        self.fake_namespace = namespace
        self.logger = FakeLogger()
        self.ros_clock = FakeRosClock(clock)
        self.topics_published: dict[str, FakePublisher] = {}
        self.topics_subscribed: dict[str, Any] = {}
        self.services_served: dict[str, Callable[..., Any]] = {}
        self.timers_made: list[tuple[float, Callable[[], Any]]] = []
        self.withheld: list[Any] = []  # subscriptions, from the executor
        self.clocks: dict[Any, Any] = {}  # of timers
        self.is_destroyed = False

    def withhold(self, subscriptions: Iterable[Any]) -> None:
        self.withheld = list(subscriptions)

    def get_logger(self) -> Any:
        return self.logger

    def get_clock(self) -> Any:
        return self.ros_clock

    def get_name(self) -> str:
        return self.fake_name

    def get_namespace(self) -> str:
        return self.fake_namespace

    def get_fully_qualified_name(self) -> str:
        return f'{self.fake_namespace}/{self.fake_name}'

    def create_publisher(self, _type: Any, topic: str, profile: Any, **_: Any) -> Any:
        publisher = self.topics_published[topic] = FakePublisher(topic, profile)
        return publisher

    def destroy_publisher(self, publisher: Any) -> bool:
        del self.topics_published[publisher.topic_name]
        return True

    def create_subscription(
        self,
        message_type: Any,
        topic: str,
        callback: Callable[[Any], Any],
        profile: Any,
        **options: Any,
    ) -> Any:
        handle = FakeHandle()
        subscription = SimpleNamespace(
            topic=topic,
            receive=callback,
            profile=profile,
            status=None,
            msg_type=message_type,
            handle=handle,
            unread=handle.unread,
            **options,
        )
        self.topics_subscribed[topic] = subscription
        return subscription

    def subscription_status(self, subscription: Any) -> Any:
        subscription.status = FakeStatus()
        return subscription.status

    def destroy_subscription(self, subscription: Any) -> bool:
        status = subscription.status
        assert status is None or status.is_destroyed, 'it uses the subscription'
        if self.topics_subscribed[subscription.topic] is subscription:  # not its successor
            del self.topics_subscribed[subscription.topic]
        return True

    def create_service(self, _type: Any, name: str, callback: Any, **_: Any) -> Any:
        self.services_served[name] = callback

    def create_timer(
        self, period: float, callback: Callable[[], Any], clock: Any = None, **_: Any
    ) -> Any:
        timer = (period, callback)
        self.timers_made.append(timer)
        self.clocks[timer] = clock
        return timer

    def destroy_timer(self, timer: Any) -> bool:
        self.timers_made.remove(timer)
        return True

    def get_publishers_info_by_topic(self, _topic: str, **_: Any) -> list[Any]:
        return []

    def get_subscriptions_info_by_topic(self, _topic: str, **_: Any) -> list[Any]:
        return []

    def destroy_node(self) -> None:
        self.is_destroyed = True


def run(coroutine: Coroutine[Any, Any, Any], turn: Callable[[], object] = lambda: None) -> Any:
    """Run a coroutine to its end, as an executor does, with a call of ``turn`` between its steps.

    Returns the coroutine's result.
    """
    for _ in range(100_000):
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        turn()
    raise AssertionError('the coroutine does not end')
