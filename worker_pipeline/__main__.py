# SPDX-License-Identifier: Apache-2.0
"""``python -m worker_pipeline``."""

import sys

from worker_pipeline.cli import main

if __name__ == '__main__':
    sys.exit(main())
