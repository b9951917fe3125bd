"""What benchmarks train: supernets, and networks alone by the same trainer; each once, in a folder of its own.

What was trained is found again, and a training that was stopped goes on. The same command may run several times at
once, as a GPU is far from busy with one small network: each process takes what no other is at, and waits for the rest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from common import QUICK_RESULTS, Options

from devices import DeviceError
from nas.errors import BusyError, NasError
from nas.files import read_json, write_json
from nas.lock import exclusive
from nas.progress import Progress
from nas.stages.train import TrainListener
from search_spaces import Architecture, Network, SearchSpace, SpaceError
from search_spaces.space import Decision
from supernet import Supernet, SupernetError, TrainData, TrainSettings, load_supernet, train
from supernet.identity import changes, training_identity
from supernet.strategies.base import SHARED_SETTINGS

_DONE = "trained.json"
_WAIT_S = 5.0

# A GPU computes in other numbers than a processor; what was trained on one may be measured on the other.
_OF_THE_MACHINE = ("train.precision", "train.device")

PLAIN = {field.name: field.default for field in fields(TrainSettings) if field.name in SHARED_SETTINGS}
"""Settings that only some strategies have a use for, at their defaults."""


class OneNetwork(SearchSpace):
    """A space of one network: a supernet of it is that network, and its training is plain static training.

    Args:
        space: the space of the network.
        arch: which one of it.
    """

    def __init__(self, space: SearchSpace, arch: Architecture) -> None:
        self._arch = space.canonical(arch)
        self._space = space

    @property
    def name(self) -> str:
        """That of the space, and the network's key."""
        return f"{self._space.name}:{self._arch.key}"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """One, with a single option."""
        return (Decision("network", (self._arch.key,)),)

    def lower(self, arch: Architecture) -> Network:
        """The network."""
        self.validate(arch)
        return self._space.lower(self._arch)


def alone(settings: TrainSettings) -> TrainSettings:
    """The recipe of a supernet for a network alone: every step is from the labels, at its own resolution."""
    return replace(settings, strategy="single_path", options={}, **PLAIN)


@dataclass(frozen=True)
class Training:
    """Something to be trained.

    Attributes:
        directory: where; its last two names are shown.
        space: whose networks share the weights.
        settings: how.
    """

    directory: Path
    space: SearchSpace
    settings: TrainSettings

    def make(self, data: TrainData, progress: Progress) -> None:
        """Train, go on with what was begun, or find that it is done.

        Raises:
            NasError: it was done with other settings or images.
            SupernetError: see ``train``.
        """
        found = training_identity(self.space, data.images, data.split, data.preprocessing, self.settings)
        identity = {name: value for name, value in found.items() if name not in _OF_THE_MACHINE}
        done = self.directory / _DONE
        if done.is_file():
            if changed := changes(read_json(done), identity):
                told = "; ".join(changed)
                raise NasError(f"{self.directory} holds another training: {told}. Give --work another folder")
            return
        # Watching takes longer than training where networks are this small: once, at the end.
        settings = replace(self.settings, evaluate_every=self.settings.epochs)
        name = "/".join(self.directory.parts[-2:])
        train(self.space, data, settings, self.directory, TrainListener(progress, name))
        write_json(done, identity)

    def supernet(self) -> Supernet:
        """What was trained, on the device that trains.

        Raises:
            SupernetError: its weights are missing or damaged.
        """
        return load_supernet(self.space, self.directory).to(self.settings.resolve_device())


def take_turns(folders: Iterable[Path], do: Callable[[Path], None]) -> None:
    """Do something in each folder, at which no other process is meanwhile; those of others are waited for."""
    waiting = list(folders)
    while waiting:
        busy = []
        for folder in waiting:
            try:
                with exclusive(folder / ".lock"):
                    do(folder)
            except BusyError:
                busy.append(folder)
        waiting = busy
        if busy:
            time.sleep(_WAIT_S)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every benchmark that trains."""
    help_work = "folder that trainings are kept in and found again (default: one in build/benchmarks)"
    parser.add_argument("--work", type=Path, help=help_work)
    parser.add_argument("--threads", type=int, help="CPU threads of this process (default: as the config says)")


@contextmanager
def work_folder(options: Options, *names: str) -> Iterator[Path]:
    """The folder of ``--work``; by default one of these names, and for a short run one that is deleted at the end."""
    if options.extra.work is not None:
        yield options.extra.work
    elif options.quick:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)
    else:
        yield QUICK_RESULTS.joinpath(options.name, *names)


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C, and what a user can mend, into one message."""
    try:
        yield
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except (DeviceError, NasError, SpaceError, SupernetError) as error:
        raise SystemExit(str(error)) from None
