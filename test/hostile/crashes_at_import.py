# SPDX-License-Identifier: Apache-2.0
"""A module that ends its process when it is imported."""

import os

os.abort()
