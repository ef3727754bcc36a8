# SPDX-License-Identifier: Apache-2.0
"""A folder for the sockets of ``multiprocessing`` where TMPDIR has too long a path for them."""

from __future__ import annotations

import os
import shutil
import tempfile
from multiprocessing import process, util
from pathlib import Path

# The kernel allows 107 bytes. multiprocessing adds up to 32 for a folder and a socket.
MAX_BASE = 107 - len('/pymp-12345678') - len('/listener-12345678')
SHORT_PLACES = ('/run/user/{uid}', '/tmp', '/var/tmp', '/dev/shm')


def forbid_abstract_sockets() -> None:
    """Keep the fork servers that a stage's code starts from other users (CVE-2022-42919).

    Before Python 3.10.9, ``multiprocessing`` gave them sockets that every user on the machine may
    connect to. Forked processes inherit the setting; later versions do not read it.
    """
    vars(util)['abstract_sockets_supported'] = False


def shorten_socket_paths() -> None:
    """Have multiprocessing use a short folder if the usual one is too long, until this exits.

    Its child processes use the same. Raises OSError where there is none.
    """
    config = process.current_process()._config  # type: ignore[attr-defined]
    if 'tempdir' in config or len(os.fsencode(tempfile.gettempdir())) <= MAX_BASE:
        return
    # As multiprocessing itself does it, in another place. There is no public API for it.
    folder = tempfile.mkdtemp(prefix='pymp-', dir=_short_place())
    config['tempdir'] = folder
    util.Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-100)


def _short_place() -> Path:
    for place in SHORT_PLACES:
        folder = Path(place.format(uid=os.getuid()))
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    found = tempfile.gettempdir()
    raise OSError(
        f'TMPDIR: found a path of {len(os.fsencode(found))} bytes, {found}; '
        f'allowed: up to {MAX_BASE} bytes, as sockets are made there'
    )
