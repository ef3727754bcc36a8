# SPDX-License-Identifier: Apache-2.0
"""Code as people write it costs an item or a worker, with its own words, and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus
from support.observer import header
from support.ordinary_stages import WAYS

from worker_pipeline.testing import wait_for

HOOKS = {'configure': 'exit', 'activate': 'stop', 'deactivate': 'cancel', 'cleanup': 'odd'}


def ordinary(name: str, **settings):
    return {'plugin': f'support.ordinary_stages:{name}', 'max_attempts': 1, **settings}


def test_whatever_a_stage_logs_raises_or_reports_its_worker_lives(start, observer, tmp_path):
    """Each failed item has its own cause; all others come out of the first worker.

    The path of TMPDIR is too long for the addresses of sockets.
    """
    folder = tmp_path / ('x' * 100)
    folder.mkdir()
    stages = {
        'logs': ordinary('Logs'),
        'raises': ordinary('Raises'),
        'reports': ordinary('Reports'),
    }
    manager = start({'stages': [*stages], **stages}, environment={'TMPDIR': str(folder)})
    answers = {name: observer.collect(f'{name}/output') for name in stages}
    feeds = {name: observer.feeder(f'{name}/input') for name in stages}
    for name in stages:
        observer.wait_until_active(name, 1)
    pids = {name: observer.pid_of(f'{name}/worker_0') for name in stages}
    for number, way in enumerate(['', *WAYS, '']):
        item = header(number)
        item.frame_id += f' {way}'
        feeds['raises'].publish(item)
    for number in range(6):
        feeds['logs'].publish(header(number))
        feeds['reports'].publish(header(number))
    expected = {'logs': 5, 'reports': 6, 'raises': 2}
    wait_for(
        lambda: {name: len(each) for name, each in answers.items()} == expected,
        'the answers',
        seen=lambda: {name: len(each) for name, each in answers.items()},
    )
    for name, pid in pids.items():
        assert {each.frame_id.split()[-1] for each in answers[name]} == {str(pid)}
    wait_for(lambda: len(observer.quarantined) == len(WAYS) + 1, 'the causes')
    causes = sorted(each.message for each in observer.quarantined)
    known = sorted(['RuntimeError: the third', *(text for _, text in WAYS.values())])
    shown = [cause[: len(text)] for cause, text in zip(causes, known, strict=True)]
    assert shown == known
    assert max(map(len, causes)) < 2000
    status = observer.wait_for_status('reports/worker_0', DiagnosticStatus.WARN, r'too dark \udcff')
    values = {each.key: each.value for each in status.values}
    assert (values['error'], values['3']) == (
        '<RaisesNoTextError whose text raises ValueError>',
        'None',
    )
    for text in (
        'a warning of item 5',
        r'unencodable: \udcff, and more\x00 behind zero',
        '%d (not formatted: TypeError: %d format',
        'process() failed on the item stamped 0.004000000',
    ):
        wait_for(lambda text=text: text in manager.output, text, seen=manager.show)
    assert observer.values('manager')['restarts'] == '0'
    assert 'internal error' not in manager.output


def test_a_failed_hook_is_told_in_its_own_words(start, observer, tmp_path):
    """Its worker is replaced; so it is if the constructor fails."""
    stages = {
        hook: ordinary('RaisesInHook', params={'folder': str(tmp_path), 'hook': hook, 'way': way})
        for hook, way in HOOKS.items()
    }
    stages['constructor'] = ordinary('RaisesInConstructor')
    stages['state'] = ordinary('SavesWrongState', params={'folder': str(tmp_path)})
    folder = {'CONSTRUCTOR_FOLDER': str(tmp_path)}
    manager = start({'stages': [*stages], **stages}, environment=folder)
    for name in stages:
        observer.wait_until_active(name, 1)
    # A request may arrive twice, and then deactivate the replacement too, for good.
    observer.change_state('deactivate/worker_0', 'deactivate')
    observer.change_state('cleanup/worker_0', 'deactivate')
    observer.change_state('cleanup/worker_0', 'cleanup')
    expected = {hook: WAYS[way][1] for hook, way in HOOKS.items()}
    expected['constructor'] = 'SystemExit: no camera'
    expected['state'] = 'StateError: save_state() returned a value of type dict; allowed: bytes'
    for name, words in expected.items():
        reason = f'[airside.{name}]: worker_0 exited: {words}'
        wait_for(lambda reason=reason: reason in manager.output, reason, seen=manager.show)
        logged = f'{name} failed:\n' if name in HOOKS else ''
        wait_for(lambda logged=logged: logged in manager.output, logged, seen=manager.show)
    logged = 'constructor/worker_0: the stage cannot be created:\n'
    wait_for(lambda: logged in manager.output, logged, seen=manager.show)


def test_a_structure_is_a_state(start, observer):
    """A replacement continues from it; several slots, with a state each, are warned of."""
    manager = start({'stages': ['counts'], 'counts': ordinary('SavesStructure', workers=2)})
    answers = observer.collect('counts/output')
    feed = observer.feeder('counts/input')
    observer.wait_until_active('counts', 2)
    for number in range(10):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 10, 'the answers', seen=manager.show)
    for slot in ('worker_0', 'worker_1'):
        os.kill(observer.pid_of(f'counts/{slot}'), signal.SIGKILL)
    observer.wait_until_active('counts', 2)
    for number in range(10, 20):
        feed.publish(header(number))
    wait_for(lambda: len(answers) == 20, 'the answers', seen=manager.show)
    # Each slot has counted on from where its first process was.
    last = [int(each.frame_id) for each in answers]
    assert sorted(last) == sorted([*range(1, max(last) + 1), *range(1, 21 - max(last))])
    note = 'each of 2 slots has a state of its own'
    observer.wait_for_status('counts', DiagnosticStatus.WARN, note)
    warning = 'counts.workers: found 2, and support.ordinary_stages:SavesStructure saves a state'
    assert warning in manager.output
    sizes = [str(len(each)) for each in ('{"items":1}', '{"items":10}')]
    wait_for(
        lambda: observer.values('counts/worker_0').get('state_bytes') in sizes,
        'the size of the state',
        seen=lambda: observer.values('counts/worker_0'),
    )
    assert 'state_save_ms' in observer.values('counts/worker_0')


def inherited() -> set[str]:
    """Return what this process has open: the manager, and so its workers, may inherit it."""
    folder = Path('/proc/self/fd')
    return {os.readlink(each) for each in folder.iterdir() if each.is_symlink()}


def test_programs_inherit_nothing_of_ours_but_the_streams(start, observer, tmp_path):
    """Neither of a worker that was forked as such nor of one that was a spare: no DDS socket."""
    settings = ordinary('ListsDescriptors', params={'folder': str(tmp_path)})
    manager = start({'stages': ['lists'], 'spares': 1, 'lists': settings})
    observer.wait_until_active('lists', 1)
    wait_for(lambda: 'spare' in [each.name() for each in manager.relatives()], 'a spare')
    pid = observer.pid_of('lists/worker_0')
    os.kill(pid, signal.SIGKILL)
    for each in (pid, observer.pid_of('lists/worker_0', but=pid)):
        file = tmp_path / str(each)
        wait_for(file.exists, 'the list')
        shown = [line.split()[8:] for line in file.read_text().splitlines()[1:]]
        theirs = {number: target for number, _, target in shown if target not in inherited()}
        # The fourth is the listing's own.
        assert {*theirs} - {'0', '1', '2', '3'} == set(), theirs
