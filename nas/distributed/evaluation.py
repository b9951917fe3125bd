"""Accuracies of many sub-networks at once: Ray actors that each hold the supernet, or this process alone."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from nas.distributed.cluster import connected, last_line, set_aside
from nas.distributed.judge import EvaluatingProcess, Images, Judge, Supplies
from nas.errors import NasError
from nas.evaluate import Accuracies
from nas.stages.context import Context
from search_spaces import Architecture
from supernet import load_supernet

ATTEMPTS: Final = 3
"""How many processes may be lost over one network."""

_PATIENCE_S: Final = 300.0
"""How long the cluster may take to give the first process."""


@contextmanager
def evaluating(context: Context) -> Iterator[Accuracies]:
    """What evaluates a run's sub-networks: as many processes as its config says, for the length of the block.

    An accuracy is the same whoever finds it: every process has the same weights, images and number of threads.
    """
    if context.config.evaluators == 1:
        yield _Here(context)
        return
    with connected():
        team = Evaluators(context)
        try:
            yield team
        finally:
            team.close()


class _Here:
    """Evaluates in this process."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        judge = Judge(self._context.evaluator, self._context.config.evaluation_threads)
        for arch in archs:
            yield arch, judge(arch)


class Evaluators:
    """Evaluates in several processes of a Ray cluster, which begin with the first batch.

    Each has one network at a time, so nothing piles up. The network of a process that is lost, with its machine or
    alone, goes to another one, and a new process joins as soon as the cluster has room for it.

    Args:
        context: the run, whose supernet is trained.

    Raises:
        NasError: the cluster is too small.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._count = context.config.evaluators
        self._needs = set_aside(
            "evaluators",
            self._count,
            threads=context.config.evaluation_threads,
            gpu=context.config.train_settings.resolve_device().type == "cuda",
            remedy="lower evaluators or search.threads",
        )
        self._false_starts = 0
        self._supplies: Any = None
        self._idle: list[Any] = []
        # By what Ray will answer: the process, and the network that it is at, none while it begins.
        self._working: dict[Any, tuple[Any, Architecture | None]] = {}

    def __call__(self, archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        """The accuracy of every architecture, as soon as it is found.

        Raises:
            NasError: no process can be had, or several were lost over one network.
            SupernetError: what evaluation itself refuses.
        """
        waiting, left, losses = deque(archs), len(archs), Counter[str]()
        try:
            while left:
                self._hand_out(waiting)
                arch, value = self._next()
                if arch is not None and value is None:
                    losses[arch.key] += 1
                    _check(arch, losses[arch.key])
                    waiting.appendleft(arch)
                elif arch is not None and value is not None:
                    left -= 1
                    yield arch, value
        finally:
            if left:  # something went wrong, or whoever asked has given up
                self.close()

    def close(self) -> None:
        """End the processes."""
        import ray  # noqa: PLC0415 (takes a second, and only those wait who use it)

        if ray.is_initialized():
            for process in [*self._idle, *(process for process, _ in self._working.values())]:
                ray.kill(process)
        self._idle, self._working = [], {}

    def _hand_out(self, waiting: deque[Architecture]) -> None:
        """Begin the processes that are missing, and give the idle ones something to do."""
        while len(self._idle) + len(self._working) < self._count:
            process = self._begin()
            self._working[process.ready.remote()] = (process, None)
        while waiting and self._idle:
            process, arch = self._idle.pop(), waiting.popleft()
            self._working[process.accuracy.remote(arch)] = (process, arch)

    def _next(self) -> tuple[Architecture | None, float | None]:
        """What the next process was at (none: it began), and what it found (none: it was lost, or began)."""
        import ray  # noqa: PLC0415
        from ray.exceptions import RayActorError, RayError, RayTaskError  # noqa: PLC0415

        answer = self._answer()
        process, arch = self._working.pop(answer)
        try:
            value = ray.get(answer)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            self._false_starts += arch is None
            refused = isinstance(error, RayActorError) and error.actor_init_failed
            if refused or self._false_starts == ATTEMPTS * self._count:
                raise NasError(f"no evaluator can begin on this Ray cluster: {last_line(error)}") from error
            ray.kill(process)  # it may only be out of reach
            self._context.progress.note(f"an evaluator was lost ({last_line(error)}); another one takes over")
            return arch, None
        self._false_starts = 0
        self._idle.append(process)
        return arch, value

    def _answer(self) -> Any:  # noqa: ANN401 (a reference of Ray's)
        """The next answer.

        Raises:
            NasError: the cluster has no room for a single process.
        """
        import ray  # noqa: PLC0415

        while True:
            answers, _ = ray.wait(list(self._working), timeout=_PATIENCE_S)
            if answers:
                return answers[0]
            if all(arch is None for _, arch in self._working.values()):
                raise NasError(
                    f"the Ray cluster has begun no evaluator for {_PATIENCE_S:g} s; see with `ray status` what is "
                    f"missing (each needs {self._needs}), then run `nas search` again"
                )

    def _begin(self) -> Any:  # noqa: ANN401 (an actor's handle)
        import ray  # noqa: PLC0415

        if self._supplies is None:
            self._supplies = ray.put(supplies(self._context))
        cpus, gpus = self._needs["CPU"], self._needs.get("GPU", 0.0)
        return ray.remote(num_cpus=cpus, num_gpus=gpus)(EvaluatingProcess).remote(self._supplies)


def _check(arch: Architecture, losses: int) -> None:
    if losses == ATTEMPTS:
        raise NasError(
            f"{losses} processes were lost while they evaluated network {arch.key}; see what ails them (memory, "
            "`ray status`), then run `nas search` again"
        )


def supplies(context: Context) -> Supplies:
    """What a run's evaluating processes need."""
    calibration, judged = context.evaluation_images
    chosen = np.concatenate([calibration, judged])
    weights = load_supernet(context.space, context.path("train")).state_dict()
    return Supplies(
        space=context.config.space.name,
        options=context.config.space.options,
        weights={name: value.numpy() for name, value in weights.items()},
        images=Images(context.images.images[chosen], context.images.labels[chosen]),
        preprocessing=context.preprocessing,
        calibrating=len(calibration),
        threads=context.config.evaluation_threads,
        device=context.config.train_settings.resolve_device().type,
    )
