from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.export import ExportError, write_onnx, write_tflite
from search_spaces import Network, NetworkBuilder, Node, get_space
from search_spaces.blocks import channel_shuffle
from search_spaces.network import Activation, Conv, Input, Pool


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("size", [14, 15, 16])
def test_every_operation_equals_torch(
    reference: ModuleType, run_tflite: Any, tmp_path: Path, size: int, delegate: bool
) -> None:
    network = reference.every_operation(size)
    rng = np.random.default_rng(size)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((3, *network.input.shape), dtype=np.float32)
    write_tflite(network, weights, tmp_path / "model.tflite")
    expected = reference.forward(network, weights, images).numpy()
    found = run_tflite(tmp_path / "model.tflite", images, delegate=delegate)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_signature(reference: ModuleType, tmp_path: Path) -> None:
    network = reference.every_operation()
    write_tflite(network, reference.random_weights(network, np.random.default_rng(0)), tmp_path / "model.tflite")
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    assert list(interpreter.get_input_details()[0]["shape"]) == [1, 14, 14, 3]
    assert list(interpreter.get_output_details()[0]["shape"]) == [1, 7]


def test_feature_maps_are_not_moved_around(reference: ModuleType, tmp_path: Path) -> None:
    space = get_space("mobilenetv3_32")
    network = space.lower(space.largest())
    write_tflite(network, reference.random_weights(network, np.random.default_rng(0)), tmp_path / "model.tflite")
    assert "TRANSPOSE" not in kinds_of(tmp_path / "model.tflite")


def test_a_channel_shuffle_moves_channels_only(
    reference: ModuleType, run_tflite: Any, run_onnx: Any, tmp_path: Path
) -> None:
    b = NetworkBuilder((3, 6, 6))
    with b.block("body"):
        x = channel_shuffle(b, "shuffle", b.conv("grouped", b.conv("stem", b.input, 8, 3), 12, groups=2), 3)
        x = b.depthwise("depthwise", x, 3)
        b.linear("classifier", b.flatten("flat", b.global_pool("pool", x)), 5)
    network = b.build()
    check_both(reference, run_tflite, run_onnx, tmp_path, network, 0)
    kinds = kinds_of(tmp_path / "model.tflite")
    assert kinds[:6] == ["CONV_2D", "CONV_2D", "RESHAPE", "TRANSPOSE", "RESHAPE", "DEPTHWISE_CONV_2D"]
    assert kinds.count("TRANSPOSE") == 1


def test_hard_swish_stays_one_operator_and_clips_are_fused(reference: ModuleType, tmp_path: Path) -> None:
    b = NetworkBuilder((3, 8, 8))
    x = b.activation("swish", b.conv("first", b.input, 8, 3), "hard_swish")
    x = b.activation("relu", b.conv("second", x, 8), "relu")
    b.activation("clip", b.add("sum", x, b.activation("gate", b.conv("third", x, 8), "hard_sigmoid")), "relu6")
    network = b.build()
    write_tflite(network, reference.random_weights(network, np.random.default_rng(0)), tmp_path / "model.tflite")
    assert kinds_of(tmp_path / "model.tflite") == [
        *("CONV_2D", "HARD_SWISH", "CONV_2D", "CONV_2D", "MUL", "ADD"),
        "TRANSPOSE",  # the output is channels first
    ]


def test_a_file_of_224_px(reference: ModuleType, run_tflite: Any, tmp_path: Path) -> None:
    space = get_space("mobilenetv3", {"resolutions": [224], "classes": 50})
    network = space.lower(space.from_options({"stages.0.blocks.0.kernel": 7, "stages.3.blocks.1.kernel": 7}))
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((1, 3, 224, 224), dtype=np.float32)
    write_tflite(network, weights, tmp_path / "model.tflite")
    expected = reference.forward(network, weights, images).numpy()
    np.testing.assert_allclose(run_tflite(tmp_path / "model.tflite", images), expected, atol=1e-4, rtol=1e-5)


@st.composite
def windows(draw: st.DrawFn) -> Network:
    """A convolution or pooling of any geometry that torch allows, between two activations."""
    groups = draw(st.sampled_from([1, 2, 4, 8]))
    kernel, stride = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    height, width = draw(st.integers(7, 12)), draw(st.integers(7, 12))
    pooling = draw(st.sampled_from(["max", "average", None, None]))
    most = kernel // 2 if pooling else 3
    top, left, bottom, right = pads = tuple(draw(st.integers(0, most)) for _ in range(4))
    sizes = ((height + top + bottom - kernel) // stride + 1, (width + left + right - kernel) // stride + 1)
    channels = 8 if pooling else draw(st.sampled_from([8, 16]))
    bias = draw(st.booleans())
    op = (
        Pool(pooling, kernel, stride, pads) if pooling else Conv(8, channels, kernel, stride, groups, pads, False, bias)
    )
    kind = draw(st.sampled_from(["relu", "relu6", "hard_sigmoid", "hard_swish"]))
    nodes = (
        Node("input", Input(), (), (8, height, width), "input"),
        Node("window", op, ("input",), (channels, *sizes), "b"),
        Node("activation", Activation(kind), ("window",), (channels, *sizes), "b"),
    )
    return Network(nodes)


@settings(max_examples=60, deadline=None)
@given(network=windows(), seed=st.integers(0, 2**16))
def test_windows_of_any_geometry(  # noqa: PLR0917
    reference: ModuleType,
    run_tflite: Any,
    run_onnx: Any,
    tmp_path_factory: pytest.TempPathFactory,
    network: Network,
    seed: int,
) -> None:
    check_both(reference, run_tflite, run_onnx, tmp_path_factory.mktemp("windows"), network, seed)


@st.composite
def shuffles(draw: st.DrawFn) -> Network:
    """Reshapes and transposes after a convolution, ending in operations that care about the order of axes."""
    b = NetworkBuilder((3, 4, 6))
    x = b.conv("conv", b.input, 4, 3)
    shapes = [(4, 24), (4, 6, 4), (8, 12), (2, 2, 24), (96,), (4, 4, 6), (24, 4), (4, 1, 24), (4, 2, 2, 6)]
    for index in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            x = b.reshape(f"reshape{index}", x, draw(st.sampled_from(shapes)))
        else:
            axes = draw(st.permutations(range(len(b.shape(x)))))
            x = b.transpose(f"transpose{index}", x, tuple(axes))
    match draw(st.sampled_from(["none", "linear", "softmax", "norm", "concat", "matmul"])):
        case "linear":
            x = b.linear("linear", x, 5)
        case "softmax":
            x = b.softmax("softmax", x)
        case "norm" if b.shape(x)[-1] > 2:
            x = b.layer_norm("norm", x)
        case "concat":
            x = (
                b.concat("concat", (x, b.reshape("again", b.input, (b.shape(x)[0] * 3 // 4, *b.shape(x)[1:]))))
                if (b.shape(x)[0] % 4 == 0)
                else b.add("twice", x, x)
            )
        case "matmul" if len(b.shape(x)) > 1:
            rank = len(b.shape(x))
            swapped = (*range(rank - 2), rank - 1, rank - 2)
            x = b.matmul("matmul", x, b.transpose("swapped", x, swapped), scale=0.5)
    return b.build()


@settings(max_examples=60, deadline=None)
@given(network=shuffles(), seed=st.integers(0, 2**16))
def test_reshapes_and_transposes_keep_the_order_of_elements(  # noqa: PLR0917
    reference: ModuleType,
    run_tflite: Any,
    run_onnx: Any,
    tmp_path_factory: pytest.TempPathFactory,
    network: Network,
    seed: int,
) -> None:
    check_both(reference, run_tflite, run_onnx, tmp_path_factory.mktemp("shuffles"), network, seed)


def test_pooling_without_elements_in_a_window_is_refused(reference: ModuleType, tmp_path: Path) -> None:
    nodes = (
        Node("input", Input(), (), (3, 8, 8), "input"),
        Node("pool", Pool("max", 3, 1, (2, 2, 2, 2)), ("input",), (3, 10, 10), "b"),
    )
    with pytest.raises(ExportError, match="more than half of its window"):
        write_tflite(Network(nodes), {}, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def kinds_of(path: Path) -> list[str]:
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return [names[model.operatorCodes[op.opcodeIndex].builtinCode] for op in model.subgraphs[0].operators]


def check_both(  # noqa: PLR0917
    reference: ModuleType, run_tflite: Any, run_onnx: Any, folder: Path, network: Network, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((1, *network.input.shape), dtype=np.float32)
    expected = reference.forward(network, weights, images).numpy()
    write_tflite(network, weights, folder / "model.tflite")
    write_onnx(network, weights, folder / "model.onnx")
    for delegate in (True, False):
        found = run_tflite(folder / "model.tflite", images, delegate=delegate)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4, err_msg=f"xnnpack: {delegate}")
    np.testing.assert_allclose(run_onnx(folder / "model.onnx", images), expected, atol=1e-4, rtol=1e-4)
