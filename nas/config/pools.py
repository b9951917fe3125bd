"""Pools: equal devices that share the measuring, leased through a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from nas.config.section import FileName, Section
from search_spaces.nearest import nearest

_RAYS_OWN = ("CPU", "GPU", "memory", "object_store_memory")


def _custom(resource: str) -> str:
    if not resource or resource in _RAYS_OWN:
        raise ValueError(
            f"{resource!r} is no custom resource; give the name of one that a machine was started with, as in "
            "`ray start --resources '{\"board1\": 1}'`"
        )
    return resource


class UnitSection(Section):
    """One of several equal devices.

    Attributes:
        name: by which a cluster leases it to one run at a time; whoever shares the unit gives it the same name.
        resource: custom resource of the one machine of the cluster that the unit is, or is connected to; left out, any
            machine asks for it, as is right for a board with an agent.
        options: settings of the device, such as its agent's ``url``; they go before those of device and target.
    """

    name: FileName
    resource: Annotated[str, AfterValidator(_custom)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class PoolSection(Section):
    """Equal devices in the place of one.

    Attributes:
        device: what the units are, as targets name it.
        units: at least one.
    """

    device: str
    units: tuple[UnitSection, ...] = Field(min_length=1)


def check_pools(pools: Sequence[PoolSection], used: Sequence[str]) -> None:
    """Check that pools are of devices that targets name, and that a unit is one thing everywhere.

    Raises:
        ValueError: one of them is not.
    """
    devices = [pool.device for pool in pools]
    for device in devices:
        if device not in used:
            raise ValueError(f"a pool is of device {device!r}, which no target names{nearest(device, used)}")
        if devices.count(device) > 1:
            raise ValueError(f"two pools are of device {device!r}; give all its units in one")
    for pool in pools:
        names = [unit.name for unit in pool.units]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two units of device {pool.device!r} are named {name!r}; give each its own name")
    units = {unit.name: unit for pool in pools for unit in pool.units}
    places = {unit.resource: unit.name for unit in units.values() if unit.resource is not None}
    for unit in (unit for pool in pools for unit in pool.units):
        if unit.resource != units[unit.name].resource:
            raise ValueError(f"unit {unit.name!r} has two resources; give what is one thing one, or another name")
        if unit.resource is not None and places[unit.resource] != unit.name:
            raise ValueError(
                f"units {unit.name!r} and {places[unit.resource]!r} share the resource {unit.resource!r}; give each "
                "one of its own, for it tells where the unit is"
            )
