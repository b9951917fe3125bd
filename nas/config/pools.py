"""Pools: equal devices that share the measuring, leased through a Ray cluster."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from nas.config.base import FileName, Section


class UnitSection(Section):
    """One of several equal devices.

    Attributes:
        name: the unit's name, by which a cluster leases it to one run at a time.
        resource: Ray resource of the machine that the unit is or is connected to, which has one for each unit; any
            machine of the cluster asks it where left out, as is right for boards with an agent.
        options: settings of the device there, such as its agent's ``url``; they go before those of device and target.
    """

    name: FileName
    resource: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class PoolSection(Section):
    """Equal devices in the place of one.

    Attributes:
        device: what the units are, as targets name it.
        units: at least one.
    """

    device: str
    units: tuple[UnitSection, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> PoolSection:
        names = [unit.name for unit in self.units]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two units of device {self.device!r} are named {name!r}; give each its own name")
        return self
