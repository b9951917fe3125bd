"""The process in which an agent runs images through model files, for a file may bring its runtime down.

Started as ``python -m devices.agent.opening MODULE KIND OPTIONS PARENT_PID``; the module registers the kind of device.
A request on standard input is a frame: one line of JSON with the artifact, the threads and the number of images, then
the images. So is the answer on what was its standard output when it started: ``{"bytes", "shape"}`` and the logits, or
``{"bytes": 0, "error"}``.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from devices.agent import wire
from devices.agent.limits import MOST_CLASSES
from devices.artifact import Artifact
from devices.device import Device, FloatArray, LoadedModel
from devices.errors import DeviceError
from devices.registry import get_device
from devices.worker import describe_error, end_with_parent

_KEPT_MODELS = 4


def main() -> None:
    """Answer requests until there are no more."""
    module, kind, options, parent = sys.argv[1:]
    end_with_parent(int(parent))
    requests, replies = _claim_pipes()
    importlib.import_module(module)
    device = get_device(kind, json.loads(options))
    models = _Models(device)
    while line := requests.readline(wire.MOST_JSON_BYTES + 1):
        message = json.loads(line)
        payload = requests.read(message["bytes"])
        replies.write(_answer(models, message, payload))
        replies.flush()


class _Models:
    """The last few models that were asked for, loaded."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._loaded: OrderedDict[tuple[str, int], LoadedModel] = OrderedDict()

    def get(self, artifact: Artifact, threads: int) -> LoadedModel:
        key = (json.dumps(artifact.to_json(), sort_keys=True), threads)
        if key in self._loaded:
            self._loaded.move_to_end(key)
        else:
            self._loaded[key] = self._device.open(artifact, threads)
            if len(self._loaded) > _KEPT_MODELS:
                self._loaded.popitem(last=False)[1].close()
        return self._loaded[key]


def _answer(models: _Models, message: Mapping[str, Any], payload: bytes) -> bytes:
    try:
        artifact = Artifact.from_json(message["artifact"])
        model = models.get(artifact, message["threads"])
        logits = _logits(model, payload, (message["count"], *artifact.input_shape))
    except Exception as error:  # every runtime has its own kinds
        return wire.pack({"bytes": 0, "error": describe_error(error)}, b"")
    return wire.pack({"bytes": logits.nbytes, "shape": list(logits.shape)}, logits.astype("<f4").tobytes())


def _logits(model: LoadedModel, payload: bytes, shape: tuple[int, ...]) -> FloatArray:
    if not shape[0]:
        return np.zeros((0, 0), dtype=np.float32)
    images = np.frombuffer(payload, dtype="<f4").reshape(shape).astype(np.float32, copy=False)
    logits = np.asarray(model.predict(images), dtype=np.float32)
    if logits.ndim != 2 or len(logits) != shape[0] or math.prod(logits.shape) > shape[0] * MOST_CLASSES:
        raise DeviceError(
            f"the model computes an array {logits.shape} for {shape[0]} images; it should be one row each"
        )
    return logits


def _claim_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take the pipes to the parent out of reach of runtimes, as the worker that measures does."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    main()
