# SPDX-License-Identifier: Apache-2.0
"""All benchmarks, in the order of the report."""

from __future__ import annotations

from benchmarks import (
    failover,
    frames,
    growth,
    latency,
    manager_failover,
    refusing,
    scaling,
    start_up,
    steady_state,
    throughput,
)
from benchmarks.figure import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    each.key: each
    for each in (
        *failover.BENCHMARKS,
        manager_failover.BENCHMARK,
        start_up.BENCHMARK,
        *throughput.BENCHMARKS,
        latency.BENCHMARK,
        scaling.BENCHMARK,
        *steady_state.BENCHMARKS,
        growth.BENCHMARK,
        *refusing.BENCHMARKS,
        *frames.BENCHMARKS,
    )
}
