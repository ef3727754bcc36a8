# SPDX-License-Identifier: Apache-2.0
"""A module that is a script: it parses arguments when it is imported."""

import argparse

argparse.ArgumentParser().parse_args(['--weights', 'best.pt'])
