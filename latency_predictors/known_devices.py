"""A file of known devices: which networks were measured on which of them. Users extend it with devices of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from latency_predictors.described import described
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix, feature_names, features_digest
from latency_predictors.few_shot import Fleet
from latency_predictors.files import write_whole
from search_spaces.network import Network

Floats = NDArray[np.float64]

_VERSION = 1
_HEADER = "known_devices"


@dataclass(frozen=True)
class KnownDevices:
    """Measurements of several devices, networks of any space among them.

    Attributes:
        devices: names, no two alike.
        matrix: features of the networks, shape ``(networks, features)``.
        latencies_s: shape ``(networks, devices)``; NaN where a network was not measured on a device.
    """

    devices: tuple[str, ...]
    matrix: Floats
    latencies_s: Floats

    @classmethod
    def none(cls) -> KnownDevices:
        """No device at all, to extend."""
        return cls((), np.zeros((0, len(feature_names()))), np.zeros((0, 0)))

    def extended(self, networks: Sequence[Network], latencies_s: Mapping[str, Sequence[float]]) -> KnownDevices:
        """With more measurements, of devices known already or new.

        Args:
            networks: at least one.
            latencies_s: of every network in seconds, by device; NaN where it was not measured.

        Raises:
            PredictorError: another number of latencies than of networks, or one that is not positive.
        """
        for device, given in latencies_s.items():
            values = np.asarray(given, np.float64)
            if values.shape != (len(networks),) or not (np.isnan(values) | (np.isfinite(values) & (values > 0))).all():
                raise PredictorError(
                    f"device {device!r}: {len(networks)} networks and latencies of shape {values.shape} were given, or "
                    "some are not positive seconds; give one for each network, NaN where it was not measured"
                )
        devices = tuple(dict.fromkeys([*self.devices, *latencies_s]))
        old, new = np.full((len(self.matrix), len(devices)), np.nan), np.full((len(networks), len(devices)), np.nan)
        old[:, : len(self.devices)] = self.latencies_s
        for device, given in latencies_s.items():
            new[:, devices.index(device)] = given
        return KnownDevices(
            devices, np.concatenate([self.matrix, feature_matrix(networks)]), np.concatenate([old, new])
        )

    def fleet(self) -> Fleet:
        """What these devices teach.

        Raises:
            PredictorError: a device with too few measurements.
        """
        description, quantities = described(self.matrix)
        return Fleet.fit(description, quantities, self.latencies_s)

    def save(self, path: Path) -> None:
        """Write one safetensors file whose header names the devices; replaced as a whole."""
        header = {"version": _VERSION, "devices": list(self.devices), "features": features_digest()}
        arrays = {"matrix": self.matrix, "latencies_s": self.latencies_s}
        write_whole(path, save(arrays, {_HEADER: json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> KnownDevices:
        """Read what ``save`` wrote.

        Raises:
            PredictorError: a file that is missing, damaged, or written for other features.
        """
        try:
            content = path.read_bytes()
            length = int.from_bytes(content[:8], "little")
            header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_HEADER])
            arrays = load(content)
            found = cls(tuple(map(str, header["devices"])), arrays["matrix"], arrays["latencies_s"])
        except FileNotFoundError as error:
            raise PredictorError(
                f"there is no file of known devices {path}; make it with `nas fleet {path} RUN_DIR`"
            ) from error
        except Exception as error:
            raise PredictorError(f"no known devices can be read from {path}: {error}") from error
        if (header.get("version"), header.get("features")) != (_VERSION, features_digest()):
            raise PredictorError(f"the known devices in {path} were saved by another version; make the file again")
        if found.latencies_s.shape != (len(found.matrix), len(found.devices)):
            raise PredictorError(f"{path}: {len(found.devices)} devices and latencies {found.latencies_s.shape}")
        return found
