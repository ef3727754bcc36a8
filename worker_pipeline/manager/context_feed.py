# SPDX-License-Identifier: Apache-2.0
"""Contexts within one manager: outputs of a stage, sent to all workers of the stages that use them.

They go through the workers' channels, as items do. Any process on this machine may publish on the
topic of the output; a worker that subscribed there would believe it. And a replacement has its
contexts as soon as it connects, without discovery.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from worker_pipeline.config import PipelineConfig, PluginDescription, StageConfig
from worker_pipeline.frames.registry import FrameRegistry
from worker_pipeline.manager.slot import Slot
from worker_pipeline.ros import qos


class _Use(NamedTuple):
    stage: str
    number: int  # of the context, see ``own_contexts``


def own_contexts(stage: StageConfig, plugin: PluginDescription) -> tuple[str, ...]:
    """Return the names of a stage's contexts that the manager sends, each at its number."""
    if stage.accept_external:
        return ()
    return tuple(
        name
        for name, source in sorted(stage.context.items())
        if name in plugin.contexts and not source.startswith('/')
    )


class ContextFeed:
    """Sends contexts, and keeps the last messages of each for workers that come later.

    Args:
        config: of the pipeline.
        plugins: the descriptions of the stages' classes.
        frames: reads frames.
    """

    def __init__(
        self,
        config: PipelineConfig,
        plugins: Mapping[str, PluginDescription],
        frames: FrameRegistry,
    ) -> None:
        self._frames = frames
        self._uses: dict[str, list[_Use]] = {}
        for name, stage in config.stages.items():
            for number, context in enumerate(own_contexts(stage, plugins[name])):
                source = stage.context[context]
                self._uses.setdefault(source, []).append(_Use(name, number))
        self._kept: dict[str, deque[bytes]] = {
            source: deque(maxlen=_depth(plugins[source].output_type)) for source in self._uses
        }

    def send(self, source: str, output: bytes, slots: Mapping[str, Mapping[str, Slot]]) -> None:
        """Send an output to all workers that use it.

        Args:
            source: the stage that made it.
            output: the message, or a reference to its frame.
            slots: by stage and name.
        """
        uses = self._uses.get(source)
        if not uses:
            return
        message = self._frames.materialize(output)
        self._kept[source].append(message)
        for stage, number in uses:
            for slot in slots[stage].values():
                slot.channel.send_context(number, message)

    def send_kept(self, slot: Slot) -> None:
        """Send a worker that has connected what was kept for it."""
        for source, uses in self._uses.items():
            for stage, number in uses:
                if stage == slot.stage:
                    for message in self._kept[source]:
                        slot.channel.send_context(number, message)


def _depth(output_type: str) -> int:
    return qos.LARGE_OUTPUT_DEPTH if output_type in qos.LARGE_MESSAGES else qos.CONTEXT_DEPTH
