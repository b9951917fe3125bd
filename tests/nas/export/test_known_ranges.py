from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from nas.export import KnownRanges, export_artifacts, known_ranges
from nas.export.artifacts import Variant
from search_spaces import Network, NetworkBuilder

INT8: tuple[Variant, ...] = (("onnx", "int8"), ("tflite", "int8"))
TinyModel = tuple[Network, dict[str, NDArray[np.float32]]]


def images(network: Network) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((16, *network.input.shape), dtype=np.float32)


def test_a_network_s_own_ranges_give_the_same_files(tiny_model: TinyModel, tmp_path: Path) -> None:
    network, _ = tiny_model
    ranges = known_ranges(*tiny_model, images(network), INT8)
    known = export_artifacts(*tiny_model, tmp_path / "known", ranges, INT8)
    found = export_artifacts(*tiny_model, tmp_path / "found", images(network), INT8)
    assert {v: a.sha256 for v, a in known.items()} == {v: a.sha256 for v, a in found.items()}


def test_another_network_s_ranges_quantise_every_operator_all_the_same(tiny_model: TinyModel, tmp_path: Path) -> None:
    network, weights = tiny_model
    builder = NetworkBuilder(network.input.shape)
    hidden = builder.activation("act", builder.conv("other", builder.input, 8, 3, stride=2), "relu")
    builder.linear("classifier", builder.flatten("flat", builder.global_pool("pool", hidden)), 5)
    other = builder.build()
    renamed = {name.replace(".conv.", ".other."): value for name, value in weights.items()}
    ranges = known_ranges(*tiny_model, images(network), INT8)
    lent = export_artifacts(other, renamed, tmp_path / "lent", ranges, INT8)
    own = export_artifacts(other, renamed, tmp_path / "own", images(other), INT8)
    kinds = [Counter(n.op_type for n in onnx.load(a["onnx", "int8"].path).graph.node) for a in (lent, own)]
    assert kinds[0] == kinds[1] and kinds[0]["QuantizeLinear"] > 0
    sizes = [a["tflite", "int8"].path.stat().st_size for a in (lent, own)]
    assert abs(sizes[0] - sizes[1]) < 0.05 * sizes[1]


def test_an_unknown_tensor_has_the_usual_range() -> None:
    ranges = KnownRanges({"a": (-1.0, 2.0), "b": (0.0, 4.0), "c": (-3.0, 6.0)})
    assert ranges.of("b") == (0.0, 4.0)
    assert ranges.of("new") == (-1.0, 4.0)
    assert KnownRanges({}).of("new") == (-1.0, 1.0)
