# SPDX-License-Identifier: Apache-2.0
"""The lines of the screen."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from support.statuses import LEVELS, manager, pipeline, stage, status, worker

from worker_pipeline.monitor import columns
from worker_pipeline.monitor.commands import CommandResult, TriggerCommand
from worker_pipeline.monitor.controls import Controls
from worker_pipeline.monitor.glyphs import ASCII, UNICODE
from worker_pipeline.monitor.model import Pipeline
from worker_pipeline.monitor.view import Scene, screen, snapshot

KILLED = {
    'detector': stage(
        'detector',
        level='warn',
        message='1 of 2 workers unhealthy, 3 dropped',
        queued=10,
        dropped=3,
        redelivered=2,
        workers=2,
    ),
    'detector__worker_0': worker(
        'detector/worker_0', level='warn', message='replaced: killed by SIGKILL', restarts=1
    ),
    'manager': manager(level='warn', message='detector: 1 of 2 workers ...', restarts=1),
}


def scene(*arrays, keys=(), now: float = 0.5) -> Scene:
    """Return the scene after these diagnostics, received at 0 s, and these keys."""
    known = Pipeline('/airside')
    for statuses in arrays:
        known.update(statuses, 0.0)
    controls = Controls()
    for key in keys:
        controls.press(key, known.managers(), now)
    return Scene('/airside', known.managers(), controls, now, waiting='no manager yet')


def drawn(shown: Scene, width: int = 80, height: int = 24, glyphs=UNICODE) -> list[str]:
    """Return the lines as they appear on a screen, which they fill exactly."""
    lines = screen(shown, width, height, glyphs)
    console = Console(record=True, width=width, height=height, file=io.StringIO())
    for line in lines:
        assert line.cell_len <= width
        console.print(line, no_wrap=True, overflow='ignore', crop=False)
    text = console.export_text().splitlines()
    assert len(text) == height
    assert max(map(cell_len, text)) <= width
    return [line.rstrip() for line in text]


def line_of(lines: list[str], name: str, nth: int = 0) -> str:
    """Return the line that begins with a name, without the pointer."""
    return [line[2:].strip() for line in lines if line[2:].strip().startswith(name)][nth]


def words(line: str) -> str:
    """Return the words of a line, separated by single spaces."""
    return ' '.join(line.split())


def test_80_columns_show_the_most_important_values():
    """Messages have lines of their own; a stage's is left out if its worker's is more exact."""
    lines = drawn(scene(pipeline(**KILLED)))
    assert words(line_of(lines, 'stage')) == 'stage state queue held rate Hz p50 ms p99 ms dropped'
    assert lines[0].startswith(' /airside   active   up 1:05   1 spare   1 restart   ')
    assert lines[0].endswith('updated just now')
    assert words(line_of(lines, 'manager')) == 'manager ! active 1000 12.5 88.0'
    assert words(line_of(lines, 'detector')).startswith('detector ! active 10/10')
    assert words(line_of(lines, 'worker_0', 1)).startswith('worker_0 ! active 2000')
    place = lines.index(next(line for line in lines if line.endswith('killed by SIGKILL')))
    assert 'worker_0' in lines[place - 1]
    assert not any('not as they should be' in line for line in lines)
    assert lines[-1] == ' ↑ ↓ select  p pause  r resume  d drain  ? help  q quit'


def test_200_columns_show_all_values():
    """Queues have bars, and messages are in the line of their node."""
    lines = drawn(scene(pipeline(**KILLED)), 200, 50)
    assert words(line_of(lines, 'stage')) == (
        'stage state queue held rate Hz p50 ms p99 ms done dropped quarant. redelivered'
    )
    assert words(line_of(lines, 'process')) == (
        'process pid held busy % cpu % MB done restarts age'
    )
    assert words(line_of(lines, 'detector')) == (
        'detector ! active ━━━━━━━━ 10/10 1 10.0 33.4 120.1 500 3 0 2 '
        '1 of 2 workers unhealthy, 3 dropped'
    )
    assert line_of(lines, 'worker_0', 1).endswith('replaced: killed by SIGKILL')
    assert words(line_of(lines, 'worker_1')) == 'worker_1 active 2002 1 42.5 43.0 67.2 250 0 1:01'
    assert words(line_of(lines, 'manager')) == 'manager ! active 1000 12.5 88.0 1:05'
    assert line_of(lines, 'camera').split()[2] == '────────'


@pytest.mark.parametrize('width', [80, 120, 200])
def test_values_are_aligned_with_their_headings(width):
    """At the right, whatever their length."""
    lines = drawn(
        scene(pipeline(camera=stage('camera', rate_hz=1234.5, latency_p99_ms=0.2))), width
    )
    end = next(line for line in lines if 'p99 ms' in line).index('p99 ms') + len('p99 ms')
    column = [line[:end].split()[-1] for line in lines[3:10]]
    assert column == ['MB', '88.0', '0.2', '67.2', '120.1', '67.2', '67.2']
    assert all(line[end : end + 1] in ('', ' ') for line in lines[2:10])


def test_columns_are_left_out_by_rank():
    """A narrower screen loses the least important ones first."""
    order = [
        *('queue', 'rate Hz', 'p99 ms', 'p50 ms', 'dropped', 'held', 'quarant.', 'done'),
        'redelivered',
    ]
    seen: list[str] = []
    for width in range(200):
        names = {each.stage_heading for each in columns.columns_for(width)}
        assert names >= set(seen)
        assert sum(each.width + columns.GAP for each in columns.columns_for(width)) <= width
        seen += [each for each in order if each in names and each not in seen]
    assert seen == order


@pytest.mark.parametrize(
    ('seconds', 'expected'),
    [
        *((None, '-'), (-1, '-'), (0.9, '0:00'), (65, '1:05'), (3600, '1:00:00')),
        *((86399, '23:59:59'), (4e5, '4d 15h'), (1e300, '11574d 01h')),
    ],
)
def test_durations_are_formatted(seconds, expected):
    assert columns.format_duration(seconds) == expected


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        *((None, '-'), (0.0, '0.0'), (0.04, '0.0'), (9999.94, '9999.9'), (9999.96, '10000')),
        *((-12.34, '-12.3'), (1e9, '1e+09')),
    ],
)
def test_measured_values_are_formatted(value, expected):
    assert columns.format_number(value).text == expected


@pytest.mark.parametrize(
    ('value', 'expected'),
    [(None, '-'), (0, '0'), (99_999_999, '99999999'), (123_456_789, '123M'), (10**18, '1e+18')],
)
def test_counts_are_formatted(value, expected):
    assert columns.format_count(value).text == expected


@pytest.mark.parametrize(
    ('queued', 'size', 'expected', 'filled'),
    [
        *((0, 10, '0/10', 0), (1, 1000, '1/1k', 1), (5, 10, '5/10', 4), (12, 10, '12/10', 8)),
        *((999_999, 1_000_000, '999k/1M', 7), ('', 10, '-', 0), (3, '', '3/-', 0)),
    ],
)
def test_a_queue_has_a_length_a_size_and_a_bar(queued, size, expected, filled):
    shown = scene(pipeline(camera=stage('camera', queued=queued, queue_size=size)))
    camera = shown.managers[0].stages[0]
    assert columns.format_queue(camera).text == expected
    assert columns.bar_length(camera) == filled


def test_a_silent_manager_is_marked():
    """In the title and in its line; the lines below show the last diagnostics."""
    lines = drawn(scene(pipeline(), now=12.0))
    assert lines[0].endswith('MANAGER SILENT FOR 0:12')
    assert line_of(lines, 'manager').split()[:3] == ['manager', '?', 'silent']
    assert any('no diagnostics for 0:12; showing the last ones' in line for line in lines)
    still = drawn(scene(pipeline(), now=2.4))
    assert still[0].endswith('updated 2 s ago')


def test_one_of_two_managers_is_silent():
    """Managers of the same name are distinguished by host."""
    known = Pipeline('/airside')
    known.update([manager(host='north'), stage('camera')], 0.0)
    known.update([manager(host='south', spares=2), stage('detector')], 9.0)
    shown = Scene('/airside', known.managers(), Controls(), 10.0)
    lines = drawn(shown)
    assert '2 managers   3 spares' in lines[0]
    assert lines[0].endswith('1 OF 2 MANAGERS SILENT FOR 0:10')
    assert line_of(lines, 'manager@north').split()[1:3] == ['?', 'silent']
    assert line_of(lines, 'manager@south').split()[1] == 'active'


def test_a_manager_that_shut_down_cleanly_is_not_silent():
    lines = drawn(scene(pipeline(manager=manager(state='shuttingdown')), now=12.0))
    assert lines[0].endswith('ended 0:12 ago')


def test_without_a_manager_the_screen_says_what_it_waits_for():
    """From the first moment."""
    lines = drawn(scene())
    assert lines[0] == ' /airside'
    assert ' no manager yet' in lines
    assert lines[-1] == ' ? help  q quit'


def test_the_help_fits_on_a_small_terminal():
    """From its first line to its last."""
    lines = drawn(scene(pipeline(), keys=['?']))
    for words in ('pause the stage', 'cordon the worker', 'quit, as Ctrl-C does', '! x ?'):
        assert any(words in line for line in lines), words


def test_a_question_names_the_keys_that_answer_it():
    lines = drawn(scene(pipeline(), keys=['p']))
    assert lines[-2:] == [' pause the whole pipeline of /airside/manager? (y, n)', ' y yes  n no']


def test_pending_commands_and_the_last_result_are_shown():
    """A long reason takes several lines."""
    shown = scene(pipeline(), keys=['down', 'p', 'f'], now=1.0)
    command = next(each for each in shown.controls.pending if isinstance(each, TriggerCommand))
    reason = 'refused: ' + ' '.join(f'reason{index}' for index in range(12)) + ' end'
    shown.controls.finish(CommandResult(command, False, reason), 2.0)
    lines = drawn(Scene('/airside', shown.managers, shown.controls, 5.0))
    messages = ' '.join(line.strip() for line in lines[-4:-1])
    assert messages.split() == f'pause camera: for 0:04… flush camera: {reason}'.split()


def test_without_unicode_only_ascii_is_shown():
    """Also in messages."""
    statuses = pipeline(detector=stage('detector', level='error', message='größer', queued=4))
    for glyphs, pointer, bar in ((UNICODE, '▸', '━━━─────'), (ASCII, '>', '###.....')):
        lines = drawn(scene(statuses), 200, 24, glyphs)
        assert lines[4].startswith(pointer)
        assert bar in line_of(lines, 'detector')
    assert '\n'.join(lines).isascii()
    assert 'gr??er' in line_of(lines, 'detector')


def test_the_selection_and_the_levels_have_marks():
    """Colour alone carries no information."""
    lines = drawn(
        scene(
            pipeline(
                camera=stage('camera', level='error'),
                camera__worker_0=worker('camera/worker_0', level='stale'),
                detector=stage('detector', level='warn'),
            ),
            keys=['down'],
        )
    )
    assert [line.split()[0] for line in lines if line.startswith('▸')] == ['▸']
    assert '▸ camera' in '\n'.join(lines)
    for name, sign in (('camera', 'x'), ('worker_0', '?'), ('detector', '!')):
        assert line_of(lines, name).split()[1] == sign


def test_the_visible_lines_are_numbered_if_they_are_not_all():
    """In the footer."""
    lines = drawn(scene(pipeline(), keys=['end']), 80, 8)
    assert lines[-2].endswith('lines 4-6 of 6')
    assert line_of(lines, 'worker_1')


def test_a_snapshot_has_all_lines():
    """And no hints about keys."""
    lines = [line.plain.rstrip() for line in snapshot(scene(pipeline(**KILLED)), 200)]
    assert len(lines) == 3 + 6
    assert not any(line.startswith('▸') for line in lines)
    assert line_of(lines, 'worker_0', 1).endswith('replaced: killed by SIGKILL')


TEXTS = st.text(max_size=30) | st.sampled_from(
    ['猫' * 20, '\x1b[31m', 'a' * 200, '', 'e\u0301', '\u093a']
)
VALUES = st.integers(-5, 10**20) | st.floats() | TEXTS
NAMES = st.sampled_from(['camera', 'detector', 'a', 'x' * 60])
LEVEL = st.sampled_from(list(LEVELS))
CHANGES = st.dictionaries(
    st.sampled_from(
        [
            *('state', 'pid', 'age_s', 'cpu_percent', 'memory_mb', 'queued', 'queue_size'),
            *('in_flight', 'rate_hz', 'latency_p99_ms', 'dropped', 'processed', 'restarts'),
        ]
    ),
    VALUES,
    max_size=4,
)


@st.composite
def arrays(draw: st.DrawFn):
    """Return the diagnostics of a manager: some stages, with some workers."""
    host, node = draw(st.sampled_from(['north', 'south'])), draw(st.sampled_from(['manager', 'm']))
    values = draw(CHANGES)
    statuses = [status(f'/airside/{node}', draw(LEVEL), draw(TEXTS), host, spares=1, **values)]
    for name in draw(st.lists(NAMES, unique=True)):
        statuses.append(stage(name, level=draw(LEVEL), message=draw(TEXTS), **draw(CHANGES)))
        for index in range(draw(st.integers(0, 5))):
            changes = {'level': draw(LEVEL), 'message': draw(TEXTS), **draw(CHANGES)}
            statuses.append(worker(f'{name}/worker_{index}', **changes))
    return statuses


PRESSED = st.sampled_from(['down', 'up', 'end', 'home', *'prc+-fd?yn'])


@given(
    st.lists(arrays(), max_size=3),
    st.lists(PRESSED, max_size=8),
    st.integers(1, 220),
    st.integers(1, 60),
    st.floats(0, 1e6),
    st.sampled_from([UNICODE, ASCII]),
)
def test_any_pipeline_fits_on_any_screen_and_the_selected_line_is_visible(
    received, keys, width, height, now, glyphs
):
    """Whatever its values, messages and names are."""
    shown = scene(*received, keys=keys, now=now)
    lines = drawn(shown, width, height, glyphs)
    if received and not shown.controls.shows_help:
        assert [line[0] for line in lines if line].count(glyphs.pointer) == 1
