"""What the command line does when something goes wrong: one message, and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

BAD_INPUT = 2
INTERRUPTED = 130

# Looked up among the modules that are loaded: an error of a module that is not cannot have been raised, and loading
# all of them would take seconds before the first word on the screen.
_KNOWN = (
    ("nas.errors", "NasError"),
    ("search_spaces.errors", "SpaceError"),
    ("devices.errors", "DeviceError"),
    ("supernet.errors", "SupernetError"),
    ("latency_predictors.errors", "PredictorError"),
)


@contextmanager
def reported(resume: str | None = None) -> Iterator[None]:
    """Turn known errors inside the block into one message on stderr and exit code 2, Ctrl-C into exit code 130.

    Args:
        resume: command that goes on where an interrupted one stopped.
    """
    try:
        yield
    except KeyboardInterrupt:
        hint = f"; `{resume}` goes on from here" if resume else ""
        _say(f"stopped{hint}", style="yellow")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # whoever read the output has seen enough, as in `nas status RUN_DIR | head -1`
        raise
    except OSError as error:
        _say(_about(error, resume), style="red")
        raise typer.Exit(BAD_INPUT) from None
    except Exception as error:
        told = _about_memory(error) or (str(error) if isinstance(error, _known_errors()) else None)
        if told is None:
            raise
        _say(told, style="red")
        raise typer.Exit(BAD_INPUT) from None


def _known_errors() -> tuple[type[BaseException], ...]:
    return tuple(getattr(sys.modules[module], name) for module, name in _KNOWN if module in sys.modules)


def _about(error: OSError, resume: str | None) -> str:
    again = f"run `{resume}` again; it goes on where it stopped" if resume else "try again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error}); free some space and {again}"
    return f"{error}; check that the path exists and that you may read and write it, then {again}"


def _about_memory(error: Exception) -> str | None:
    """What to do where memory lacked; none of any other error."""
    torch = sys.modules.get("torch")
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return f"not enough memory on the GPU ({reason}); lower train.batch_size, or end what else computes there"
    # PyTorch has no class for the processor's memory.
    if isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate memory" in reason:
        return f"not enough memory ({reason}); lower data.size, data.limit or train.batch_size"
    return None


def _say(message: str, *, style: str) -> None:
    kind = "error: " if style == "red" else ""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"{kind}{message}", style=style, markup=False)
