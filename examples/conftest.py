# SPDX-License-Identifier: Apache-2.0
"""For the launch test, where it is run inside this repository, which makes warnings errors."""


def pytest_configure(config) -> None:
    """Ignore the event loop that launch leaves to the garbage collector."""
    config.addinivalue_line('filterwarnings', 'ignore:unclosed :ResourceWarning')
