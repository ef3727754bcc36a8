# SPDX-License-Identifier: Apache-2.0
"""What a new worker of a stage has to know: from the configuration to its spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from worker_pipeline.config import PluginDescription, StageConfig
from worker_pipeline.manager.context_feed import own_contexts
from worker_pipeline.manager.policies import concurrency_of
from worker_pipeline.manager.services import PipelineServices
from worker_pipeline.parameter import check_parameters
from worker_pipeline.protocol.worker_spec import WorkerSpec, config_hash_of
from worker_pipeline.recovery.liveness import LivenessRecord
from worker_pipeline.system.threads import available_cores, thread_share


class WorkerSpecs:
    """Makes the specs of a stage's workers.

    Args:
        config: the stage's configuration; may be replaced.
        plugin: the description of its class.
        services: shared by the stages of the pipeline.
    """

    def __init__(
        self, config: StageConfig, plugin: PluginDescription, services: PipelineServices
    ) -> None:
        self.config = config
        self._plugin = plugin
        self._services = services

    @property
    def concurrency(self) -> int:
        """Return how many items one worker may hold."""
        return concurrency_of(self.config, self._plugin)

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings that take effect with new workers, as they are set live."""
        params = check_parameters(self._plugin.parameters, self.config.params)
        return {
            'concurrency': self.config.concurrency,
            **{f'params.{name}': value for name, value in params.items()},
        }

    def prepare(self, slot: str, target: str) -> tuple[WorkerSpec, LivenessRecord]:
        """Return the settings of a new worker, and a liveness record for it.

        Raises OSError where there is no room for the record.
        """
        ros_config = self._services.next_ros_config()
        spec = attrs.evolve(self.spec(slot), target=target, ros_config=ros_config)
        record = self._services.state_dir.new_liveness_record(
            self.config.name, slot, config_hash_of(spec)
        )
        self._services.output.watch(record.path, spec.name)
        record.measure_memory(wanted=self.config.memory_limit > 0)
        return attrs.evolve(spec, liveness=str(record.path)), record

    def is_outdated(self, slot: str, record: LivenessRecord) -> bool:
        """Return whether a worker was started with another configuration."""
        return record.read().config_hash != config_hash_of(self.spec(slot))

    def spec(self, slot: str) -> WorkerSpec:
        """Return the spec of a slot's worker, without the values of one launch."""
        config, plugin, services = self.config, self._plugin, self._services
        return WorkerSpec(
            namespace=services.namespace,
            stage=config.name,
            slot=slot,
            plugin=config.plugin,
            # All of them: a parameter that is set to its default is no change of configuration.
            params=check_parameters(plugin.parameters, config.params),
            contexts=self._contexts(),
            own_contexts=own_contexts(config, plugin),
            concurrency=self.concurrency,
            target='',
            heartbeat_period=services.pipeline.heartbeat_period,
            orphan_timeout=services.pipeline.orphan_timeout,
            manager_pid=services.manager_pid,
            ros_config=services.ros_config,
            socket=str(services.state_dir.socket),
            state=str(self.state_of(slot)) if plugin.remembers else '',
            lock=str(services.state_dir.lock_file),
            frames=str(services.state_dir.frames),
            frame_memory=services.frames.limit,
            use_sim_time=services.ros_time.is_simulated,
            threads=config.threads,
            thread_limit=config.threads or thread_share(config.workers, available_cores()),
            save_when_orphaned=not services.outbox.journal.payloads,
        )

    def _contexts(self) -> dict[str, tuple[str, bool]]:
        """Return, by name, each context's topic and whether its last messages are kept there.

        Without those that the manager sends.
        """
        sent = own_contexts(self.config, self._plugin)
        return {
            # Only a stage of this pipeline is known to keep its last messages.
            name: (source, False)
            if source.startswith('/')
            else (f'{self._services.namespace}/{source}/output', True)
            for name, source in self.config.context.items()
            if name in self._plugin.contexts and name not in sent
        }

    def state_of(self, slot: str) -> Path:
        """Return the file in which a stage that remembers has a slot's state."""
        return self._services.state_dir.states / f'{self.config.name}.{slot}'
