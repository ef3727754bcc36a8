# SPDX-License-Identifier: Apache-2.0
"""The settings of a storm, and its pipeline."""

from __future__ import annotations

import random
from typing import Any

import attrs

from storm.frames import HEIGHT

WORKERS = {'first': 3, 'second': 3, 'third': 1}
SLOTS = [f'{stage}/worker_{index}' for stage, count in WORKERS.items() for index in range(count)]
# Beside the good stages: they take what the first one makes, and block nobody.
HOSTILE_STAGES = {
    'hostile_dies': 'Dies',
    'hostile_raises': 'Raises',
    'hostile_takes_apart': 'TakesApart',
}
HOSTILE = {'queue_size': 10, 'max_attempts': 1, 'task_timeout': 1.0, 'startup_timeout': 10.0}


@attrs.frozen
class Settings:
    """The settings of a storm."""

    items: int = 20_000
    seed: int = 0
    kill_period: float = 0.2  # s between two faults of workers; 0: none
    manager_kill_period: float = 10.0  # s after which an active manager is killed; 0: never
    manager_kills: int = 1_000_000  # at most
    window: int = 900  # items fed that have not come out, at most
    rate: float = 0.0  # items/s fed at most; 0: as fast as they come out
    journal: bool = True
    seconds: float = 0.002  # s that an item takes in each of the first two stages
    startup_timeout: float = 10.0  # s
    stall: float = 45.0  # s without an output, after which the storm is aborted
    frames: bool = False  # whether camera frames travel between the stages
    frame_memory: float = 256.0  # MB
    frame_height: int = HEIGHT  # px
    hostile: bool = False  # whether hostile stages run beside the good ones

    @property
    def limit(self) -> float:
        """Return how long the storm may take, s."""
        each = 0.2 if self.frames else 0.1 if self.hostile else 0.03
        return 120.0 + each * self.items + (self.items / self.rate if self.rate else 0.0)

    @property
    def poison(self) -> dict[str, list[int]]:
        """Return by stage the items that kill every worker that processes them."""
        chance = random.Random(f'poison {self.seed}')
        each = max(1, self.items // 6000)
        middle = range(self.items // 20, self.items * 9 // 10)
        chosen = chance.sample(middle, each * len(WORKERS))
        return {stage: sorted(chosen[place :: len(WORKERS)]) for place, stage in enumerate(WORKERS)}

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the manager."""
        poison = {stage: ' '.join(map(str, found)) for stage, found in self.poison.items()}
        common = {
            'ordered': True,
            'concurrency': 2,
            'max_attempts': 5,
            'task_timeout': 0.5,
            'startup_timeout': self.startup_timeout,
        }
        module = 'storm.frame_stages' if self.frames else 'storm.stages'
        stages = {
            name: {
                'plugin': f'{module}:{name.capitalize()}',
                'workers': WORKERS[name],
                'params': {'poison': poison[name]},
                **common,
            }
            for name in WORKERS
        }
        stages['first'] |= {'queue_size': 2000}
        stages['second'] |= {'input': 'first', 'overflow': 'block'}
        stages['third'] |= {'input': 'second', 'overflow': 'block'}
        for name in ('first', 'second'):
            stages[name]['params']['seconds'] = self.seconds
        if self.frames:
            for stage in stages.values():
                stage['params']['height'] = self.frame_height
        if self.hostile:
            stages |= {
                name: {'plugin': f'storm.hostile_stages:{plugin}', 'input': 'first', **HOSTILE}
                for name, plugin in HOSTILE_STAGES.items()
            }
        return {
            'stages': [*stages],
            'journal': self.journal,
            'heartbeat_timeout': 0.4,
            # Slots must not become failed because of random kills.
            'restart_limit': 1_000_000,
            'restart_backoff_max': 0.2,
            **({'frame_memory': self.frame_memory} if self.frames else {}),
            **stages,
        }
