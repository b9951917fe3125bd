"""Judges model files by what their own runtime computes from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices import Artifact, Device, Format
from nas.stages.context import Context

RUNTIMES: dict[Format, str] = {"onnx": "onnxruntime_cpu", "tflite": "litert_cpu", "network": "torch_cpu"}
"""Device whose runtime judges the files of a format where no target is concerned."""

_CHUNK = 256


def file_accuracy(context: Context, device: Device, artifact: Artifact, indices: NDArray[np.int64]) -> float:
    """Share of images, 0 to 1, that a model file classifies right, run image by image in its runtime.

    Args:
        context: the run.
        device: whose runtime runs the file.
        artifact: the file.
        indices: which of the run's images.

    Raises:
        DeviceError: the runtime is missing, or cannot run the file.
    """
    images, labels = context.images.images, context.images.labels
    right = 0
    with device.open(artifact) as model:
        for start in range(0, len(indices), _CHUNK):
            part = indices[start : start + _CHUNK]
            logits = model.predict(context.preprocessing.inputs(images[part], artifact.input_shape[-1]))
            right += int((logits.argmax(axis=1) == labels[part]).sum())
    return right / len(indices)
