# SPDX-License-Identifier: Apache-2.0
"""The stage that reports the targets to the ground."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from sensor_msgs.msg import PointCloud2

from worker_pipeline.airside.mavlink.address import check_address
from worker_pipeline.airside.mavlink.link import Link, check_libraries
from worker_pipeline.airside.messages import point_cloud
from worker_pipeline.airside.reporting.ground_delivery import GroundDelivery, RateLimits
from worker_pipeline.airside.reporting.ground_link import GroundLinkIds, GroundProtocol
from worker_pipeline.airside.reporting.ground_thread import GroundThread
from worker_pipeline.airside.reporting.target_files import TargetFiles
from worker_pipeline.airside.reporting.target_report import ReportStore
from worker_pipeline.context import stamp_ns
from worker_pipeline.parameter import Parameter
from worker_pipeline.stage import Stage

# Longest interval between two checks whether the files are due, s.
_POLL_PERIOD = 0.2
# TCP does not report that the peer is gone, so a silent link is reopened after this time, s.
_REOPEN_TCP = 5.0


class Communications(Stage[PointCloud2, PointCloud2]):
    """Stage that sends targets to the ground by MAVLink and writes them to files.

    The cloud is passed on unchanged. The link and the files have a thread each, so neither delays
    the other or an item, and unacknowledged targets are resent even when no more items arrive.
    """

    input_type = PointCloud2
    output_type = PointCloud2
    parameters: ClassVar[Mapping[str, Any]] = {
        'connection': Parameter(
            '',
            'link to the ground: udpout, udpin, tcp or tcpin:HOST:PORT, or a serial device, as in '
            "pymavlink; '': none",
        ),
        'baud_rate': Parameter(115200, 'baud rate of a serial device', 'bit/s', minimum=1),
        'system': Parameter(1, 'MAVLink system id of the vehicle', minimum=1, maximum=255),
        'component': Parameter(191, 'our MAVLink component id', minimum=1, maximum=255),
        'ground_system': Parameter(
            255, 'MAVLink system id of the ground station', minimum=1, maximum=255
        ),
        'ground_component': Parameter(
            190, 'MAVLink component id of the ground station; 0: any', minimum=0, maximum=255
        ),
        'period': Parameter(
            0.5,
            'minimum interval between two messages, and between two updates of the files',
            's',
            0.01,
        ),
        'retry': Parameter(
            1.0, 'time without an acknowledgement before a target is sent again', 's', 0.01
        ),
        'backoff_max': Parameter(
            30.0, 'limit of that time, which doubles with each attempt', 's', 0.01
        ),
        'link_timeout': Parameter(
            5.0, 'time without a heartbeat before the ground counts as silent', 's', 0.1
        ),
        'linger': Parameter(
            2.0, 'time at the end to deliver targets that are not acknowledged yet', 's', 0.0
        ),
        'min_move': Parameter(0.25, 'distance a target must move to be sent again', 'm', 0.0),
        'reach': Parameter(
            1.5, 'largest move of a target without a marker between two clouds', 'm', 0.0
        ),
        'directory': Parameter('', "folder for targets.geojson and targets.kml; '': no files"),
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
        limits = RateLimits(
            **{
                name: params[name]
                for name in ('period', 'retry', 'backoff_max', 'link_timeout', 'min_move')
            }
        )
        self._lock = threading.Lock()  # guards the store and the delivery
        self._store = ReportStore(params['reach'])
        self._delivery = GroundDelivery(limits)
        self._was_rejected = False
        self._ground: GroundThread | None = None
        self._stop_writing = threading.Event()
        self._writer: threading.Thread | None = None
        self._next_writing = float('-inf')

    def activate(self) -> None:
        """Start the threads of the link and of the files."""
        if self.params['connection']:
            self._ground = self._new_ground_thread()
            self._ground.start()
        if self._files is not None:
            self._stop_writing.clear()
            self._writer = threading.Thread(target=self._write_loop, name='files', daemon=True)
            self._writer.start()

    def process(self, item: PointCloud2) -> PointCloud2:
        """Store the targets and pass the cloud on."""
        targets = point_cloud.from_message(item)
        with self._lock:
            refused = self._store.update(targets, stamp_ns(item.header.stamp))
            self._delivery.retain({each.number for each in self._store.reports})
        if refused:
            self.status.count('unusable_targets', refused)
            if not self._was_rejected:  # log only the first of a run; the counter has all
                self.logger.warning(
                    f'targets: {refused} of {len(targets)} left out: not finite, or not on earth'
                )
        self._was_rejected = bool(refused)
        return item

    def deactivate(self) -> None:
        """Deliver the remaining reports while the ground is in contact, then stop the threads."""
        if self._ground is not None:
            end = time.monotonic() + self.params['linger']
            while time.monotonic() < end and self._has_undelivered():
                time.sleep(0.01)
            self._ground.stop()
            self._ground = None
        if self._writer is not None:
            self._stop_writing.set()
            self._writer.join()
            self._writer = None
        self._write(float('inf'))

    def save_state(self) -> bytes:
        """Return the known targets and which of them the ground has acknowledged."""
        with self._lock:
            state = {'book': self._store.snapshot(), 'delivery': self._delivery.snapshot()}
        return json.dumps(state).encode()

    def restore_state(self, state: bytes) -> None:
        """Restore the state of a previous worker. ValueError if it is not a saved state."""
        if not state:
            return
        try:
            known = json.loads(state)
            with self._lock:
                self._store.restore(known['book'])
                self._delivery.restore(known['delivery'])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'state: found {error!r}; allowed: what save_state gave') from error

    def _new_ground_thread(self) -> GroundThread:
        params = self.params
        connection = params['connection']
        ids = GroundLinkIds(
            params['system'],
            params['component'],
            params['ground_system'],
            params['ground_component'],
        )
        return GroundThread(
            functools.partial(Link, connection, params['baud_rate']),
            GroundProtocol(ids),
            self._store,
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

    def _has_undelivered(self) -> bool:
        with self._lock:
            is_in_contact = self._delivery.is_in_contact(time.monotonic())
            return is_in_contact and bool(self._delivery.due(self._store.reports))

    def _write_loop(self) -> None:
        while not self._stop_writing.is_set():
            try:
                self._write(time.monotonic())
            except Exception:
                # After any error the flight continues, and the next attempt may succeed.
                self.logger.exception('%s: not written', self.params['directory'])
            self._stop_writing.wait(min(_POLL_PERIOD, self.params['period']))

    def _write(self, now: float) -> None:
        """Write the files if they are due and the reports have changed."""
        if self._files is None or now < self._next_writing:
            return
        with self._lock:
            reports = list(self._store.reports)
        if not self._files.has_changed(reports):
            return
        self._next_writing = time.monotonic() + self.params['period']
        try:
            self._files.write(reports)
            self.status.set('files', 'written')
        except OSError as error:
            self.status.set('files', f'not written: {error.strerror}')
            self.logger.warning('%s: not written: %s', self.params['directory'], error)
