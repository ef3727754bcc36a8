# SPDX-License-Identifier: Apache-2.0
"""A plugin that ends its process on import."""

import os

os._exit(9)
