# SPDX-License-Identifier: Apache-2.0
"""Stages that do what user code and libraries do, and what the pipeline promises for each."""
