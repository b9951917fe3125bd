"""Finds what a user wrote: ``module:attribute``, in a module of the working directory or of an installed package.

Importing a module runs it. A name with a colon is therefore only followed where the user gave it: in a call, or in a
config that the user runs. A config from somebody else is as much a program as the modules that it names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from search_spaces.errors import SpaceError
from search_spaces.nearest import nearest


def find_factory(name: str) -> Callable[..., Any]:
    """What ``module:attribute`` names.

    Raises:
        SpaceError: a name of another form, no such module, a module that fails, or no such callable in it.
    """
    module_name, _, attribute = name.partition(":")
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise SpaceError(f"{name!r} names no code; write it as 'module:factory', such as 'my_space:make'")
    module = _import(module_name)
    found = getattr(module, attribute, None)
    if not callable(found):
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise SpaceError(f"module {module_name!r} has no function {attribute!r}{nearest(attribute, there)}")
    factory: Callable[..., Any] = found
    return factory


def _import(name: str) -> ModuleType:
    """Import a module with the working directory searched first, as ``python -m`` does; programs do not."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            told = f"{name.replace('.', '/')}.py is not in {here}, and no installed package has it"
            raise SpaceError(f"there is no module {name!r}: {told}; run from the folder that holds it") from error
        raise SpaceError(f"module {name!r} cannot be imported: {error}; install what it needs") from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise SpaceError(f"module {name!r} fails while it is imported ({told}); mend it and run again") from error
    finally:
        sys.path.remove(here)
