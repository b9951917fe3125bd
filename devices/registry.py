"""Every device by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from devices.device import Device
from devices.errors import DeviceError

DeviceFactory: TypeAlias = Callable[..., Device]
_Factory = TypeVar("_Factory", bound=DeviceFactory)
_FACTORIES: dict[str, DeviceFactory] = {}


def register_device(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator: the factory under it makes the device of this name; its first docstring line describes it.

    Raises:
        DeviceError: a name that is taken.
    """

    def add(factory: _Factory) -> _Factory:
        if name in _FACTORIES:
            raise DeviceError(f"a device named {name!r} is registered already; choose another name")
        _FACTORIES[name] = factory
        return factory

    return add


def device_names() -> list[str]:
    """Names that ``get_device`` knows."""
    return sorted(_FACTORIES)


def describe_device(name: str) -> str:
    """One line about a device.

    Raises:
        DeviceError: an unknown name.
    """
    return (device_factory(name).__doc__ or "").strip().split("\n")[0]


def device_module(name: str) -> str:
    """Name of the module that registers a device; another process has to import it first.

    Raises:
        DeviceError: an unknown name.
    """
    return device_factory(name).__module__


def get_device(name: str, options: Mapping[str, Any] | None = None) -> Device:
    """Make a device.

    Args:
        name: one of ``device_names()``.
        options: settings of that device, such as the seed of the simulated one.

    Raises:
        DeviceError: an unknown name, or settings that the device does not have or cannot use.
    """
    factory = device_factory(name)
    try:
        return factory(**(options or {}))
    except (OverflowError, TypeError) as error:
        raise DeviceError(f"device {name!r} cannot be made with options {dict(options or {})}: {error}") from error


def device_factory(name: str) -> DeviceFactory:
    """What makes a device: its signature tells the device's options.

    Raises:
        DeviceError: an unknown name.
    """
    if name not in _FACTORIES:
        raise DeviceError(
            f"there is no device {name!r}; there are {device_names()} (`nas devices list` describes them)"
        )
    return _FACTORIES[name]
