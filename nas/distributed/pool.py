"""A device that is several equal ones, leased through a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from devices import Artifact, DeviceError, DeviceInfo, Format, LoadedModel, Measurement, MeasureSettings
from devices.device import FloatArray
from nas.config import UnitSection
from nas.distributed.cluster import connected, last_line, missing, nodes_with
from nas.distributed.lease import Lease
from nas.distributed.losses import UNITS, loss, told
from nas.distributed.sharing import LostError, UnfitError
from nas.distributed.unit import Offer, Sent, Wanted, offer_of
from nas.distributed.unit_model import UnitModel
from nas.errors import NasError

_PROBE_S = 120.0
_Answer = TypeVar("_Answer")


class PooledDevice:
    """Equal devices that share measuring; who they are is who each of them is.

    Units are leased when something is measured or loaded, and given back by ``close``. Asking who they are takes no
    lease.

    Args:
        backend: registered name of the device that every unit is.
        options: of the backend, for every unit.
        units: the devices; each with options of its own, which go before the others.
        note: told in a sentence that another run has a unit.

    Raises:
        DeviceError: options that the device does not have or cannot use.
    """

    def __init__(
        self,
        backend: str,
        options: Mapping[str, Any],
        units: Sequence[UnitSection],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = backend
        self.note = note
        self._wanted = [(unit, Wanted(backend, {**options, **unit.options})) for unit in units]
        for _, wanted in self._wanted:
            wanted.make().close()
        self._offer: Offer | None = None
        self._leases: list[Lease] = []
        self._connection = ExitStack()

    @property
    def formats(self) -> tuple[Format, ...]:
        """Kinds of files that the units can run; none while no unit can be asked."""
        if self._offer is None:
            self.unavailable_reason()
        return self._offer.formats if self._offer else ()

    def info(self) -> DeviceInfo:
        """Who the units are, as the first one that could be asked said; see ``Device``.

        Raises:
            DeviceError: none can be asked.
        """
        reason = None if self._offer else self.unavailable_reason()
        if self._offer is None:
            raise DeviceError(f"who the units of this pool are is not known: {reason}")
        return self._offer.info

    def unavailable_reason(self) -> str | None:
        """Why no unit can be used and what to do about it, or none. A unit that another run has can be used."""
        reasons = []
        for unit, wanted in self._wanted:
            try:
                offer = self._probe(unit, wanted)
            except (DeviceError, NasError) as error:
                reasons.append(f"{unit.name}: {error}")
                continue
            if offer.unavailable_reason is None:
                self._offer = self._offer or offer
                return None
            reasons.append(f"{unit.name}: {offer.unavailable_reason}")
        return "; ".join(reasons)

    def leases(self) -> Sequence[Lease]:
        """One for each unit, none taken yet; ``give_back`` ends them.

        Raises:
            DeviceError: who they are is not known.
        """
        if not self._leases:
            info = self.info()
            self._leases = [Lease(unit, wanted, info, self.note) for unit, wanted in self._wanted]
        return self._leases

    def connect(self) -> None:
        """Be connected to the Ray cluster until ``close``; needed before a unit is leased.

        Raises:
            NasError: it cannot be reached.
        """
        import ray  # noqa: PLC0415 (takes a second, and only those wait who use it)

        if not ray.is_initialized():
            self._connection.enter_context(connected())

    def give_back(self) -> None:
        """Others can have the units; the next ``leases`` are new ones."""
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.close()

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file on any unit. Whatever goes wrong with it is a failed measurement, never an exception."""
        try:
            return self._on_any(lambda lease: lease.measure(artifact, settings))
        except (DeviceError, NasError) as error:
            return Measurement.failed(artifact, self.name, settings, str(error))

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load a model file into its runtime on any unit, leased until the model is closed; images and logits travel.

        Raises:
            DeviceError: as for every device, or no unit can be had.
        """
        sent = Sent.read(artifact)

        def predict(images: FloatArray) -> FloatArray:
            return self._on_any(lambda lease: lease.predict(sent, threads, images))

        return UnitModel(predict, self.give_back, artifact)

    def close(self) -> None:
        """Give all units back."""
        self.give_back()
        self._connection.close()

    def _on_any(self, ask: Callable[[Lease], _Answer]) -> _Answer:
        """What the first unit answers that can be had.

        Raises:
            DeviceError: none can be had, or several were lost over the question.
            NasError: the Ray cluster cannot be reached.
        """
        self.connect()
        reasons: list[str] = []
        losses: list[str] = []
        for lease in list(self.leases()):
            begun = False
            try:
                lease.check()
                begun = True
                return ask(lease)
            except LostError as error:
                perhaps_the_model = begun and not isinstance(error, UnfitError)
                (losses if perhaps_the_model else reasons).append(loss(lease.name, error))
                self._leases.append(self._leases.pop(0))  # the next question goes to it last
            if len(losses) == UNITS:
                raise DeviceError(told(losses))
        raise DeviceError(f"no unit of the pool can be had: {'; '.join(reasons + losses)}")

    def _probe(self, unit: UnitSection, wanted: Wanted) -> Offer:
        """What a unit says of its device; nothing is leased.

        Raises:
            DeviceError: it cannot be asked.
            NasError: the Ray cluster cannot be reached.
        """
        if unit.resource is None:
            return offer_of(wanted)
        self.connect()
        import ray  # noqa: PLC0415
        from ray.exceptions import RayError, RayTaskError  # noqa: PLC0415
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

        nodes = nodes_with(unit.resource)
        if not nodes:
            raise DeviceError(missing(unit.resource))
        there = NodeAffinitySchedulingStrategy(nodes[0], soft=False)
        asked = ray.remote(offer_of).options(num_cpus=0, scheduling_strategy=there).remote(wanted)
        try:
            offer: Offer = ray.get(asked, timeout=_PROBE_S)
        except RayTaskError as error:
            raise DeviceError(f"it cannot be asked: {error.cause}") from error
        except RayError as error:
            raise DeviceError(f"it cannot be asked: {last_line(error)}") from error
        return offer
