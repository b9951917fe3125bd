from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.export import FILE_NAMES, ExportError, export_artifacts
from search_spaces import NetworkBuilder, macs, parameters

DIGESTS = """
from pathlib import Path
from typing import Any
import sys
import numpy as np
from nas.export import export_artifacts
from search_spaces import NetworkBuilder

b = NetworkBuilder((3, 8, 8))
x = b.activation("act", b.conv("conv", b.input, 8, 7), "hard_swish")
x = b.activation("act2", b.depthwise("depthwise", x, 7), "swish")
b.linear("classifier", b.flatten("flat", b.global_pool("pool", x)), 4)
rng = np.random.default_rng(0)
shapes = {"conv.weight": (8, 3, 7, 7), "conv.bias": (8,), "depthwise.weight": (8, 1, 7, 7), "depthwise.bias": (8,),
    "classifier.weight": (4, 8), "classifier.bias": (4,)}
weights = {f"input.{name}": rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
images = rng.standard_normal((20, 3, 8, 8), dtype=np.float32)
for artifact in export_artifacts(b.build(), weights, Path(sys.argv[1]), images).values():
    print(artifact.sha256)
"""


def test_every_variant_is_written_and_described(trained: Any, tmp_path: Path) -> None:
    everything = tuple(FILE_NAMES)
    artifacts = export_artifacts(trained.network, trained.weights, tmp_path / "new", trained.calibration, everything)
    assert {variant: artifact.path.name for variant, artifact in artifacts.items()} == FILE_NAMES
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(FILE_NAMES.values())
    for (kind, precision), artifact in artifacts.items():
        assert (artifact.format, artifact.precision, artifact.input_shape) == (kind, precision, (3, 16, 16))
        assert artifact.sha256 == hashlib.sha256(artifact.path.read_bytes()).hexdigest()
        work = artifact.workload
        assert work is not None
        assert (work.macs, work.parameters) == (macs(trained.network), parameters(trained.network))
        assert work.activation_elements == sum(prod(node.shape) for node in trained.network.nodes)


def test_only_what_is_asked_for_is_written(trained: Any, tmp_path: Path) -> None:
    wanted = [("tflite", "float32"), ("tflite", "float32")]
    artifacts = export_artifacts(trained.network, trained.weights, tmp_path, trained.calibration[:0], wanted)
    assert list(artifacts) == [("tflite", "float32")]
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


def test_the_same_network_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    digests = []
    for seed in ("1", "2"):
        command = [sys.executable, "-W", "ignore", "-c", DIGESTS, str(tmp_path / seed)]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.append(result.stdout.split())
    assert len(digests[0]) == 4
    assert digests[0] == digests[1]


def test_an_unknown_variant_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="int4"):
        export_artifacts(trained.network, trained.weights, tmp_path, trained.calibration, [("onnx", "int4")])  # type: ignore[list-item]


def test_a_network_that_reads_no_image_is_refused(tmp_path: Path) -> None:
    b = NetworkBuilder((8,))
    b.linear("linear", b.input, 3)
    with pytest.raises(ExportError, match="give one that reads an image"):
        export_artifacts(b.build(), {}, tmp_path, np.zeros((1, 8), np.float32))


@pytest.mark.parametrize("variant", FILE_NAMES)
def test_a_failure_leaves_the_file_that_was_there(trained: Any, tmp_path: Path, variant: Any) -> None:
    path = tmp_path / FILE_NAMES[variant]
    path.write_bytes(b"before")
    weights = {name: array for name, array in trained.weights.items() if name != "head.classifier.weight"}
    with pytest.raises(ExportError, match=r"no 'head.classifier.weight' among"):
        export_artifacts(trained.network, weights, tmp_path, trained.calibration, [variant])
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
