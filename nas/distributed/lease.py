"""Leases: a unit that one run has on a Ray cluster is nobody else's until it is given back, or the run has died."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from nas.distributed.cluster import connected, last_line, missing, nodes_with
from nas.distributed.sharing import LostError
from nas.distributed.unit import UnitProcess

ATTEMPTS: Final = 3
"""How many processes may be lost over one question."""

_NAMESPACE = "hwnas units"
_LOOK_AGAIN_S = 1.0
_LOOKS_BEFORE_TOLD = 10  # the cluster takes its time to notice that a lost process of our own is gone


@dataclass(frozen=True)
class Unit:
    """One of several equal devices.

    Attributes:
        name: by which it is leased.
        resource: Ray resource of the machine it is at; any machine asks it where there is none.
    """

    name: str
    resource: str | None


class Lease:
    """One unit, had by this run from the first question until it is given back.

    It is an actor with the unit's name, of which a cluster has one at a time, and which takes the unit's resource. It
    ends with this process. When its process or machine dies, another takes its place where that is possible, and is
    asked again.

    Args:
        unit: what is leased.
        note: told in a sentence that another run has it.
    """

    def __init__(self, unit: Unit, note: Callable[[str], None]) -> None:
        self.unit = unit
        self._note = note
        self._actor: Any = None
        self._node = ""
        self._asking = threading.RLock()
        self._given_back = threading.Event()

    @property
    def place(self) -> str:
        """Names what measures: the unit, and its machine where the unit may be at several."""
        return self.unit.name if self.unit.resource is None else f"{self.unit.name}/{self._node[:12]}"

    def take(self) -> Any:  # noqa: ANN401 (an actor's handle)
        """Have the unit; waits while another run has it.

        Raises:
            LostError: it cannot be had, or was given back meanwhile.
        """
        with self._asking:
            while (actor := self._actor) is None:
                self._actor = self._try()
            if self._given_back.is_set():
                self._let_go()
                self._check()
            return actor

    def ask(self, method: str, *given: Any) -> Any:  # noqa: ANN401 (what the method returns)
        """What a method of the unit's ``UnitProcess`` returns.

        Raises:
            LostError: the unit cannot be had any more, or no process survives this question.
            Exception: what the method raises.
        """
        import ray  # noqa: PLC0415 (takes a second, and only those wait who use it)
        from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415

        reason = ""
        with self._asking:
            for _ in range(ATTEMPTS):
                actor = self.take()
                try:
                    return ray.get(getattr(actor, method).remote(*given))
                except RayTaskError as error:
                    raise error.cause from None
                except RayError as error:
                    reason = last_line(error)
                    self._let_go()
        raise LostError(f"{ATTEMPTS} processes were lost over one measurement there, the last with: {reason}")

    def give_back(self) -> None:
        """Others can have the unit; a question that is being asked is given up."""
        self._given_back.set()
        self._let_go()

    def _try(self) -> Any | None:  # noqa: ANN401
        """The actor that has the unit, if the unit is free; else none, after it has become free.

        Raises:
            LostError: it cannot be had, or was given back meanwhile.
        """
        import ray  # noqa: PLC0415
        from ray.exceptions import RayError  # noqa: PLC0415

        self._check()
        needs = {} if self.unit.resource is None else {self.unit.resource: 1.0}
        held: Any = ray.remote(num_cpus=0, resources=needs, scheduling_strategy="SPREAD")(UnitProcess)
        try:
            actor = held.options(name=self.unit.name, namespace=_NAMESPACE).remote()
        except ValueError:  # there is one of this name
            self._wait_for_others()
            return None
        try:
            answer = actor.node.remote()
            while not ray.wait([answer], timeout=_LOOK_AGAIN_S)[0]:
                self._check()  # its machine may leave before it is there
            self._node = ray.get(answer)
        except RayError as error:
            ray.kill(actor)
            raise LostError(f"no process can begin there: {last_line(error)}") from error
        except LostError:
            ray.kill(actor)
            raise
        return actor

    def _wait_for_others(self) -> None:
        looks = 0
        while _is_held(self.unit.name):
            looks += 1
            if looks == _LOOKS_BEFORE_TOLD:
                self._note(f"another run has the lease of {self.unit.name}; waiting for it")
            self._given_back.wait(_LOOK_AGAIN_S)
            self._check()

    def _check(self) -> None:
        if self._given_back.is_set():
            raise LostError("it was given back")
        if self.unit.resource is not None and not nodes_with(self.unit.resource):
            raise LostError(missing(self.unit.resource))

    def _let_go(self) -> None:
        import ray  # noqa: PLC0415

        actor, self._actor = self._actor, None
        if actor is not None and ray.is_initialized():
            ray.kill(actor)


class Leases:
    """The units that a run has, on one connection to the cluster.

    Args:
        note: told in a sentence what a person should know.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._held: dict[Unit, Lease] = {}
        self._connection = ExitStack()

    def of(self, unit: Unit) -> Lease:
        """The lease of a unit; it is not taken yet.

        Raises:
            NasError: the Ray cluster cannot be reached.
        """
        if unit not in self._held:
            self.connect()
            self._held[unit] = Lease(unit, self._note)
        return self._held[unit]

    def give_back(self, unit: Unit) -> None:
        """Others can have a unit; it is leased anew when it is asked for."""
        if unit in self._held:
            self._held.pop(unit).give_back()

    def connect(self) -> None:
        """Be connected to the cluster until ``close``.

        Raises:
            NasError: it cannot be reached.
        """
        self._connection.enter_context(connected())

    def close(self) -> None:
        """Give all units back."""
        for unit in list(self._held):
            self.give_back(unit)
        self._connection.close()


def _is_held(name: str) -> bool:
    import ray  # noqa: PLC0415

    try:
        ray.get_actor(name, namespace=_NAMESPACE)
    except ValueError:
        return False
    return True
