# SPDX-License-Identifier: Apache-2.0
"""Two machines on this one, and the switch between them, at which they can be parted.

Each has its own network, host name, shared memory and machine id, which DDS compares.
They are unnamed Linux namespaces: they end with the processes in them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

OWN = ('--net', '--uts', '--ipc', '--mount')
# The namespaces of each machine.
FURNISH = (
    'mount -t tmpfs tmpfs /dev/shm && hostname {name} && ip link set lo up && '
    'if [ -e /etc/machine-id ]; then '
    'printf "%032x\n" {number} > /dev/shm/machine-id && '
    'mount --bind /dev/shm/machine-id /etc/machine-id; fi'
)


class NotPermittedError(Exception):
    """There can be no such machines here; the text has the reason."""


class Machine:
    """A process that holds the namespaces, and how others get into them."""

    def __init__(self, name: str, number: int, within: Machine | None = None) -> None:
        """Make a machine; ``within``: shares its rights; None: ours, or a user namespace's."""
        self.name = name
        self.address = f'10.77.0.{number}'
        self._enters = ['--user', '--preserve-credentials'] if os.geteuid() else []
        if within is not None:
            before = within.inside
        else:
            before = ['unshare', '--user', '--map-root-user'] if os.geteuid() else []
        furnish = FURNISH.format(name=name, number=number)
        self._holder = subprocess.Popen(
            [*before, 'unshare', *OWN, 'sh', '-c', f'{furnish} && echo made && exec cat'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != 'made\n':
            told = self._holder.stderr.read()
            self.close()
            raise NotPermittedError(' '.join(told.split()))

    @property
    def pid(self) -> int:
        """Return the pid of the process that owns the namespaces."""
        return self._holder.pid

    @property
    def inside(self) -> list[str]:
        """Return the first arguments of a command to run on this machine."""
        return ['nsenter', '--target', str(self.pid), *self._enters, *OWN]

    def run(self, command: str) -> None:
        """Run a command there; raises NotPermittedError."""
        done = subprocess.run([*self.inside, *command.split()], capture_output=True, text=True)
        if done.returncode:
            raise NotPermittedError(f'{command}: {" ".join(done.stderr.split())}')

    def close(self) -> None:
        """End the machine, once no process is left in it."""
        self._holder.kill()
        self._holder.communicate()


class Machines:
    """Two of them, ``first`` and ``second``, and the switch that has a cable to each."""

    def __init__(self, switch: Machine, first: Machine, second: Machine) -> None:
        self._switch, self.first, self.second = switch, first, second
        switch.run('ip link add switch type bridge mcast_snooping 0')
        switch.run('ip link set switch up')
        for machine in (first, second):
            switch.run(f'ip link add {machine.name} type veth peer name eth0 netns {machine.pid}')
            switch.run(f'ip link set {machine.name} master switch up')
            machine.run(f'ip address add {machine.address}/24 dev eth0')
            machine.run('ip link set eth0 up')

    def part(self) -> None:
        """Nothing gets from one to the other any more; neither can see why."""
        self._switch.run(f'ip link set {self.second.name} nomaster')

    def join(self) -> None:
        """All is as it was."""
        self._switch.run(f'ip link set {self.second.name} master switch')


@contextlib.contextmanager
def two_machines() -> Iterator[Machines]:
    """Make them; raises NotPermittedError where that cannot be."""
    with contextlib.ExitStack() as made:
        for command in ('ip', 'unshare', 'nsenter'):
            if shutil.which(command) is None:
                raise NotPermittedError(f'{command}: found no such command')
        switch = Machine('switch', 254)
        made.callback(switch.close)
        both = []
        for number, name in enumerate(('alpha', 'beta'), 1):
            both.append(Machine(name, number, switch))
            made.callback(both[-1].close)
        yield Machines(switch, *both)
