# SPDX-License-Identifier: Apache-2.0
"""Small helpers of several stages: back-off, clocks, threads, counters."""
