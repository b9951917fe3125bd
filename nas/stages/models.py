"""Model files of architectures: made from the trained supernet once, found again by later runs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from safetensors.numpy import save
from torch import Tensor

from devices import Artifact, DeviceError, Format, Precision, Workload
from nas.errors import NasError
from nas.export import FILE_NAMES, export_artifacts
from nas.files import read_json, write_bytes, write_json
from nas.stages.lent import Lent, images_for
from search_spaces import Architecture
from supernet import SubnetEvaluator

Variant: TypeAlias = tuple[Format, Precision]
Artifacts: TypeAlias = Mapping[Variant, Artifact]

WEIGHTS = "weights.safetensors"
"""The deployed weights, beside the model files."""

_LIST = "artifacts.json"


class ModelFiles:
    """A folder with one folder of model files for each architecture.

    The same architecture gives the same bytes in every process, so what a killed run left behind is either found whole
    or made again.

    Args:
        directory: the folder.
        evaluator: the trained supernet, and the images that batch-norm statistics are estimated on.
        calibration: normalised training images, ``(count, 3, height, width)``, that give the ranges of INT8.
        variants: kinds of files to make.
        with_weights: also write the deployed weights, as ``weights.safetensors``.
        timed_only: the files' outputs will not be looked at: batch-norm statistics and INT8 ranges are found once, on
            the largest network, and lent to all others.
    """

    def __init__(
        self,
        directory: Path,
        evaluator: SubnetEvaluator,
        calibration: Tensor,
        variants: Sequence[Variant],
        *,
        with_weights: bool = False,
        timed_only: bool = False,
    ) -> None:
        self._directory = directory
        self._evaluator = evaluator
        self._calibration = calibration
        self._variants = tuple(dict.fromkeys(variants))
        self._with_weights = with_weights
        self._lent = Lent(evaluator, calibration, self._variants) if timed_only else None

    def folder(self, arch: Architecture) -> Path:
        """Where an architecture's files are."""
        return self._directory / arch.key

    def get(self, arch: Architecture) -> Artifacts:
        """The architecture's files, made if they are not there or not whole.

        Raises:
            ExportError: a file cannot be written or quantised.
        """
        return self._found(arch) or self._make(arch)

    def discard(self, arch: Architecture) -> None:
        """Delete an architecture's files; ``get`` makes them again, to the same bytes."""
        shutil.rmtree(self.folder(arch), ignore_errors=True)

    def _found(self, arch: Architecture) -> Artifacts | None:
        folder = self.folder(arch)
        if not (folder / _LIST).is_file():
            return None
        try:
            listed = read_json(folder / _LIST)
            artifacts = {_variant(row): _read(folder, row) for row in listed["files"]}
            whole = all(artifact.read() for artifact in artifacts.values())
            if self._with_weights:
                whole = whole and _digest((folder / WEIGHTS).read_bytes()) == listed["weights_sha256"]
        except (DeviceError, NasError, OSError, KeyError, TypeError, ValueError):
            return None
        return artifacts if whole and set(artifacts) >= set(self._variants) else None

    def _make(self, arch: Architecture) -> Artifacts:
        folder = self.folder(arch)
        network = self._evaluator.supernet.space.lower(arch)
        if self._lent is not None:
            weights = self._lent.weights(network)
            artifacts = export_artifacts(network, weights, folder, self._lent.ranges, self._variants)
        else:
            weights = self._evaluator.extract(network).deployed_weights()
            images = images_for(network, self._calibration)
            artifacts = export_artifacts(network, weights, folder, images, self._variants)
        listed: dict[str, Any] = {"files": [_row(artifact) for artifact in artifacts.values()]}
        if self._with_weights:
            content = save(dict(weights))
            write_bytes(folder / WEIGHTS, content)
            listed["weights_sha256"] = _digest(content)
        write_json(folder / _LIST, listed)
        return artifacts


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _variant(row: Mapping[str, Any]) -> Variant:
    return row["format"], row["precision"]


def _row(artifact: Artifact) -> dict[str, Any]:
    return {
        "file": artifact.path.name,
        "format": artifact.format,
        "precision": artifact.precision,
        "input_shape": artifact.input_shape,
        "sha256": artifact.sha256,
        "workload": None if artifact.workload is None else asdict(artifact.workload),
    }


def _read(folder: Path, row: Mapping[str, Any]) -> Artifact:
    if row["file"] != FILE_NAMES[_variant(row)]:
        raise ValueError(f"the {_variant(row)} file is listed as {row['file']!r}")
    channels, height, width = row["input_shape"]
    workload = None if row["workload"] is None else Workload(**row["workload"])
    path = folder / row["file"]
    return Artifact(path, row["format"], row["precision"], (channels, height, width), row["sha256"], workload)
