# SPDX-License-Identifier: Apache-2.0
"""The message that shows an answer without an output on a worker's topic ``outcome``."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from worker_pipeline.protocol import answers
from worker_pipeline.protocol.answers import Answer
from worker_pipeline.ros.diagnostics import key_values


def outcome_message(worker: str, answer: Answer) -> DiagnosticStatus:
    """Return the message for an answer of ``worker``, such as ``detect_target/worker_0``."""
    level = DiagnosticStatus.ERROR if answer.kind == answers.ERROR else DiagnosticStatus.OK
    values = {'number': str(answer.number)}
    if answer.text:
        values['text'] = answer.text
    return DiagnosticStatus(
        level=level, name=worker, message=answer.kind, values=key_values(values)
    )
