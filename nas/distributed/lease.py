"""Leases: a unit that one run has on a Ray cluster is nobody else's until it is given back, or the run has died."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from devices import Artifact, DeviceError, DeviceInfo, Measurement, MeasureSettings
from devices.device import FloatArray
from nas.config import UnitSection
from nas.distributed.cluster import last_line, missing, nodes_with
from nas.distributed.sharing import LostError
from nas.distributed.unit import Sent, UnitProcess, Wanted

RESTARTS: Final = 3
"""How many processes of one lease may be lost with its unit in working order."""

_NAMESPACE = "hwnas-units"
_LOOK_AGAIN_S = 1.0
_LOOKS_BEFORE_TOLD = 10  # the cluster takes its time to notice that a run is gone
_CLOSING_S = 5.0


class Lease:
    """One unit of a pool, had by this run from the first question until it is closed.

    It is an actor with the unit's name, of which a cluster has one at a time, and which takes the unit's resource. It
    ends with the process that took it. Where the actor's own process or machine dies, Ray begins it anew, on another
    machine unless it needs a resource of that one, and asks again what was asked. A question waits while another run
    has the unit.

    Args:
        unit: what is leased.
        wanted: which device it is.
        info: who the device has to be.
        note: told in a sentence that another run has it.
    """

    def __init__(self, unit: UnitSection, wanted: Wanted, info: DeviceInfo, note: Callable[[str], None]) -> None:
        self.name = unit.name
        self._resource, self._wanted, self._info, self._note = unit.resource, wanted, info, note
        self._actor: Any = None
        self._busy = False
        self._closed = threading.Event()

    @property
    def closed(self) -> bool:
        """Whether it was given back for good: what it raises since then says nothing of the unit."""
        return self._closed.is_set()

    def check(self) -> None:
        """Return when the unit is leased and in working order.

        Raises:
            LostError: it cannot be had or does not work.
            DeviceError: it is not equal to the others.
        """
        self._ask("check", self._info.key)

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file; what goes wrong with the file is a failed measurement.

        Raises:
            LostError: the unit cannot be had any more.
        """
        try:
            sent = Sent.read(artifact)
        except DeviceError as error:
            return Measurement.failed(artifact, self._info.name, settings, str(error))
        made: Measurement = self._ask("measure", sent, settings)
        return made

    def predict(self, sent: Sent, threads: int, images: FloatArray) -> FloatArray:
        """Logits ``(count, classes)`` of a model file on the unit; no images only load it there.

        Raises:
            LostError: the unit cannot be had any more.
            DeviceError: the file cannot be loaded or run.
        """
        logits: FloatArray = self._ask("predict", sent, threads, images)
        return logits

    def close(self) -> None:
        """Give the unit back for good; from any thread: what is being asked is given up."""
        self._closed.set()
        self._let_go()

    def _ask(self, method: str, *given: Any) -> Any:  # noqa: ANN401 (what the method returns)
        """What a method of the unit's ``UnitProcess`` returns; once it is lost, others can have the unit."""
        actor = self._take()
        self._busy = True
        try:
            return self._answer(actor, method, given)
        except LostError:
            self._let_go()
            raise
        finally:
            self._busy = False

    def _take(self) -> Any:  # noqa: ANN401 (an actor's handle)
        """The actor that has the unit."""
        actor = self._actor = self._actor or self._begin()
        if self._closed.is_set():  # just now, by somebody who saw no actor
            self._let_go()
            self._check()
        return actor

    def _begin(self) -> Any:  # noqa: ANN401 (an actor's handle)
        """A new actor, once nobody else has the unit."""
        import ray  # noqa: PLC0415 (takes a second, and only those wait who use it)

        needs = {} if self._resource is None else {self._resource: 1.0}
        process: Any = ray.remote(
            num_cpus=0, resources=needs, max_restarts=RESTARTS, max_task_retries=-1, scheduling_strategy="SPREAD"
        )(UnitProcess)
        looks = 0
        while True:
            self._check()
            try:
                return process.options(name=self.name, namespace=_NAMESPACE).remote(self._wanted)
            except ValueError:  # there is one of this name
                looks += 1
                if looks == _LOOKS_BEFORE_TOLD:
                    self._note(f"another run has the lease of {self.name}; waiting for it")
                self._closed.wait(_LOOK_AGAIN_S)

    def _answer(self, actor: Any, method: str, given: tuple[Any, ...]) -> Any:  # noqa: ANN401
        import ray  # noqa: PLC0415
        from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415

        try:
            answer = getattr(actor, method).remote(*given)
            while not ray.wait([answer], timeout=_LOOK_AGAIN_S)[0]:
                self._check()
            return ray.get(answer)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            raise LostError(f"no process stays alive there: {last_line(error)}") from error

    def _check(self) -> None:
        """Raise LostError where there is nothing to wait for."""
        if self._closed.is_set():
            raise LostError("it was given back")
        if self._resource is not None and not nodes_with(self._resource):
            raise LostError(missing(self._resource))

    def _let_go(self) -> None:
        import ray  # noqa: PLC0415

        actor, self._actor = self._actor, None
        if actor is None or not ray.is_initialized():
            return
        if not self._busy:
            closing = actor.close.options(max_task_retries=0).remote()
            ray.wait([closing], timeout=_CLOSING_S)  # the device stops before another run has it
        ray.kill(actor)
