# SPDX-License-Identifier: Apache-2.0
"""Loads the stage class that a configuration names."""

from __future__ import annotations

import importlib
import traceback
from types import ModuleType

from worker_pipeline.error_text import describe_error
from worker_pipeline.parameter import short_repr, suggestion
from worker_pipeline.stage import Stage


class PluginError(Exception):
    """A plugin that cannot be loaded, or is not a stage."""


def load_stage_class(plugin: str) -> type[Stage]:
    """Return the class that ``module:Class`` names. Raises PluginError with the reason."""
    module_name, _, class_name = plugin.partition(':')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Distinguish a missing plugin from one with failing imports.
        if error.name and (module_name == error.name or module_name.startswith(error.name + '.')):
            raise PluginError(
                f'found {short_repr(plugin)}; no module {short_repr(error.name)} on the Python path'
            ) from error
        raise PluginError(
            f'found {short_repr(plugin)}; importing it failed: {describe_error(error)}'
        ) from error
    # Not only Exception: importing a script may call sys.exit(), or be interrupted.
    except BaseException as error:
        raise PluginError(
            f'found {short_repr(plugin)}; importing it failed: {describe_error(error)} '
            f'({_place_of(error)})'
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        hint = suggestion(class_name, _stages_of(module))
        raise PluginError(
            f'found {short_repr(plugin)}; {module_name} has no {class_name!r}'
            + (f'; {hint}' if hint else '')
        )
    if not isinstance(found, type) or not issubclass(found, Stage):
        raise PluginError(
            f'found {short_repr(plugin)}; allowed: a subclass of worker_pipeline.Stage'
        )
    return found


def _place_of(error: BaseException) -> str:
    """Return the file and line of an error: where it was raised, or the syntax is wrong."""
    if isinstance(error, SyntaxError):
        return f'{error.filename}:{error.lineno}'
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f'{where.filename}:{where.lineno}'


def _stages_of(module: ModuleType) -> list[str]:
    return [
        name
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Stage) and each is not Stage
    ]
