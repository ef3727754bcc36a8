# SPDX-License-Identifier: Apache-2.0
"""A script rather than a module."""

import sys

sys.exit('usage: exits.py FILE')
