# SPDX-License-Identifier: Apache-2.0
"""The module that ``python -m`` of the package would run."""

raise SystemExit(5)
