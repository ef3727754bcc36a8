"""The stage that tells the ground where the targets are."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside import point_cloud
from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link, check_libraries
from worker_pipeline.airside.reporting.ground_delivery import GroundDelivery, Pace
from worker_pipeline.airside.reporting.ground_link import Addresses, GroundProtocol
from worker_pipeline.airside.reporting.ground_thread import GroundThread
from worker_pipeline.airside.reporting.target_files import TargetFiles
from worker_pipeline.airside.reporting.target_report import ReportBook
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

# s, at most, without a look at whether the files are to be written.
_LOOK = 0.2
# s; TCP does not tell that the other side is gone, so a silent one is opened again after so long.
_REOPEN_TCP = 5.0


class Communications(Stage):
    """Targets to the ground by MAVLink, and into files; the cloud goes on as it came.

    Link and files have a thread each, so neither holds up the other or an item, and what no
    acknowledgement came for is repeated also when no more items come.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    parameters: ClassVar[Mapping[str, Any]] = {
        'connection': Parameter(
            '',
            'to the ground: udpout, udpin, tcp or tcpin:HOST:PORT, or a serial device, as in '
            "pymavlink; '': none",
        ),
        'baud_rate': Parameter(115200, 'of a serial device', 'bit/s', minimum=1),
        'system': Parameter(1, "the vehicle's MAVLink system", minimum=1, maximum=255),
        'component': Parameter(191, 'our MAVLink component', minimum=1, maximum=255),
        'ground_system': Parameter(255, "the ground station's system", minimum=1, maximum=255),
        'ground_component': Parameter(190, 'and its component; 0: any', minimum=0, maximum=255),
        'period': Parameter(
            0.5, 'at least, between two messages, and between two writings of the files', 's', 0.01
        ),
        'retry': Parameter(1.0, 'without an acknowledgement, until it is sent again', 's', 0.01),
        'backoff_max': Parameter(30.0, 'up to which that doubles each time', 's', 0.01),
        'link_timeout': Parameter(5.0, 'without a heartbeat: the ground is silent', 's', 0.1),
        'linger': Parameter(
            2.0, 'at the end, for what is not acknowledged yet, while the ground is heard', 's', 0.0
        ),
        'min_move': Parameter(0.25, 'of a target, to be told again', 'm', 0.0),
        'reach': Parameter(1.5, 'how far a target without a marker may move at once', 'm', 0.0),
        'directory': Parameter('', "for targets.geojson and targets.kml; '': no files"),
    }

    def configure(self) -> None:
        """Check the connection and the folder; nothing is sent yet."""
        params = self.params
        if params['connection']:
            check_libraries(check_address(params['connection'], 'connection'))
            self.status.set('link', params['connection'])
        self._files: TargetFiles | None = None
        if params['directory']:
            try:
                self._files = TargetFiles(Path(params['directory']))
            except OSError as error:
                raise ValueError(
                    f'directory: found {params["directory"]!r}, {error.strerror}; '
                    'allowed: a folder that can be written to'
                ) from error
        pace = Pace(
            **{
                name: params[name]
                for name in ('period', 'retry', 'backoff_max', 'link_timeout', 'min_move')
            }
        )
        self._lock = threading.Lock()  # of the book and the delivery
        self._book = ReportBook(params['reach'])
        self._delivery = GroundDelivery(pace)
        self._was_refused = False
        self._ground: GroundThread | None = None
        self._stop_writing = threading.Event()
        self._writer: threading.Thread | None = None
        self._next_writing = float('-inf')

    def activate(self) -> None:
        """Begin to talk, and to write."""
        if self.params['connection']:
            self._ground = self._new_ground_thread()
            self._ground.start()
        if self._files is not None:
            self._stop_writing.clear()
            self._writer = threading.Thread(target=self._keep_writing, name='files', daemon=True)
            self._writer.start()

    def process(self, item: Any) -> Any:
        """Take note of the targets; hand them on."""
        targets = point_cloud.from_message(item)
        with self._lock:
            refused = self._book.update(targets, stamp_ns(item.header.stamp))
            self._delivery.keep({each.number for each in self._book.reports})
        if refused:
            self.status.count('refused', refused)
            if not self._was_refused:  # the first of a row; the others are counted
                self.logger.warning(
                    f'targets: {refused} of {len(targets)} left out: no numbers, '
                    'or no place on earth'
                )
        self._was_refused = bool(refused)
        return item

    def deactivate(self) -> None:
        """Say what there is left to say, if the ground hears; be silent."""
        if self._ground is not None:
            end = time.monotonic() + self.params['linger']
            while time.monotonic() < end and self._has_more_to_say():
                time.sleep(0.01)
            self._ground.stop()
            self._ground = None
        if self._writer is not None:
            self._stop_writing.set()
            self._writer.join()
            self._writer = None
        self._write(float('inf'))

    def save_state(self) -> bytes:
        """What is known of the targets, and what of it the ground knows."""
        with self._lock:
            state = {'book': self._book.dump(), 'delivery': self._delivery.dump()}
        return json.dumps(state).encode()

    def restore_state(self, state: bytes) -> None:
        """Go on where a worker before this one was; ValueError if that was nowhere."""
        if not state:
            return
        try:
            known = json.loads(state)
            with self._lock:
                self._book.load(known['book'])
                self._delivery.load(known['delivery'])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'state: found {error!r}; allowed: what save_state gave') from error

    def _new_ground_thread(self) -> GroundThread:
        params = self.params
        connection = params['connection']
        addresses = Addresses(
            params['system'],
            params['component'],
            params['ground_system'],
            params['ground_component'],
        )
        return GroundThread(
            functools.partial(Link, connection, params['baud_rate']),
            GroundProtocol(addresses),
            self._book,
            self._delivery,
            self._lock,
            self.status,
            self.logger,
            retry=params['retry'],
            link_timeout=params['link_timeout'],
            reopen_after=(
                max(_REOPEN_TCP, params['link_timeout'])
                if connection.startswith('tcp')
                else float('inf')
            ),
        )

    def _has_more_to_say(self) -> bool:
        with self._lock:
            is_heard = self._delivery.is_heard(time.monotonic())
            return is_heard and bool(self._delivery.due(self._book.reports))

    def _keep_writing(self) -> None:
        while not self._stop_writing.is_set():
            try:
                self._write(time.monotonic())
            except Exception:
                # Whatever it is, the flight goes on, and the next attempt may do.
                self.logger.exception('%s: not written', self.params['directory'])
            self._stop_writing.wait(min(_LOOK, self.params['period']))

    def _write(self, now: float) -> None:
        """Write the files, if it is time and there is something new."""
        if self._files is None or now < self._next_writing:
            return
        with self._lock:
            reports = list(self._book.reports)
        if not self._files.is_news(reports):
            return
        self._next_writing = time.monotonic() + self.params['period']
        try:
            self._files.write(reports)
            self.status.set('files', 'written')
        except OSError as error:
            self.status.set('files', f'not written: {error.strerror}')
            self.logger.warning('%s: not written: %s', self.params['directory'], error)
