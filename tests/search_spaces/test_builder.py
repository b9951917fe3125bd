from __future__ import annotations

from collections.abc import Callable
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import NetworkBuilder, SpaceError, make_divisible


@settings(deadline=None)
@given(size=st.integers(1, 40), kernel=st.sampled_from([1, 3, 5, 7]), stride=st.integers(1, 3))
def test_convolution_and_pooling_count_their_windows(size: int, kernel: int, stride: int) -> None:
    builder = NetworkBuilder((4, size, size + 1))
    expected = tuple(floor((axis + 2 * (kernel // 2) - kernel) / stride) + 1 for axis in (size, size + 1))
    conv = builder.conv("conv", builder.input, 6, kernel, stride=stride)
    assert builder.shape(conv) == (6, *expected)
    assert builder.shape(builder.depthwise("depthwise", builder.input, kernel, stride=stride)) == (4, *expected)
    assert builder.shape(builder.pool("pool", builder.input, "max", kernel, stride)) == (4, *expected)


@settings(deadline=None)
@given(size=st.integers(3, 40), kernel=st.integers(1, 3), stride=st.integers(1, 3))
def test_pooling_that_covers_all_reads_the_last_element(size: int, kernel: int, stride: int) -> None:
    builder = NetworkBuilder((4, size, size + 1))
    pool = builder.pool("pool", builder.input, "average", kernel, stride, cover=True)
    for windows, axis in zip(builder.shape(pool)[1:], (size, size + 1), strict=True):
        reach = [count * stride + kernel - (kernel - 1) // 2 for count in (windows - 2, windows - 1)]
        assert reach[1] >= axis + (kernel - 1) // 2 > reach[0]


def test_attention_shapes_and_block_names() -> None:
    builder = NetworkBuilder((8, 4, 4))
    with builder.block("attention"):
        tokens = builder.transpose("tokens", builder.reshape("flat", builder.input, (8, 16)), (1, 0))
        keys = builder.transpose("keys", tokens, (1, 0))
        scores = builder.softmax("softmax", builder.matmul("scores", tokens, keys, scale=0.5))
        mixed = builder.layer_norm("norm", builder.matmul("mixed", scores, tokens))
    assert builder.shape(scores) == (16, 16)
    assert builder.shape(mixed) == (16, 8)
    assert mixed == "attention.norm"
    assert builder.shape(builder.linear("linear", mixed, 5)) == (16, 5)
    assert set(builder.build().blocks) == {"attention", "input"}


def test_elementwise_shapes() -> None:
    builder = NetworkBuilder((8, 4, 4))
    gate = builder.global_pool("pool", builder.input)
    assert builder.shape(gate) == (8, 1, 1)
    assert builder.shape(builder.mul("scale", builder.input, gate)) == (8, 4, 4)
    assert builder.shape(builder.add("sum", builder.input, builder.input)) == (8, 4, 4)
    assert builder.shape(builder.sub("difference", builder.input, builder.input)) == (8, 4, 4)
    assert builder.shape(builder.scale("layer_scale", builder.input)) == (8, 4, 4)
    assert builder.shape(builder.concat("concat", (builder.input, builder.input))) == (16, 4, 4)
    assert builder.shape(builder.flatten("flat", builder.input)) == (128,)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda b: b.conv("c", "input", 9, groups=4), "do not split in 4 groups"),
        (lambda b: b.linear("l", b.flatten("f", "input"), 0), r"would have shape \(0,\)"),
        (lambda b: b.conv("c", b.flatten("f", "input"), 4), "needs a feature map"),
        (lambda b: b.add("a", "input", b.conv("c", "input", 4)), "differ"),
        (lambda b: b.sub("s", "input", b.conv("c", "input", 4)), "differ"),
        (lambda b: b.relative_bias("r", b.reshape("s", "input", (8, 2, 12)), (4, 6)), "not those of 4x6 tokens"),
        (lambda b: b.mul("m", b.global_pool("p", "input"), "input"), "cannot multiply"),
        (lambda b: b.pool("p", "input", "median", 3, 1), "'median'; allowed: 'max', 'average'"),
        (lambda b: b.reshape("r", "input", (7,)), "as many elements"),
        (lambda b: b.transpose("t", "input", (0, 0, 1)), "no permutation"),
        (lambda b: b.matmul("m", "input", b.conv("c", "input", 4)), "cannot multiply"),
        (lambda b: b.concat("c", ("input", b.global_pool("p", "input"))), "differ beyond"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(write: Callable[[NetworkBuilder], str], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        write(NetworkBuilder((8, 4, 6)))


@settings(deadline=None)
@given(st.floats(1, 5000))
def test_make_divisible_follows_the_ten_percent_rule(channels: float) -> None:
    rounded = make_divisible(channels)
    assert rounded % 8 == 0
    assert rounded >= 8
    assert rounded >= 0.9 * channels
    assert rounded <= max(8, channels + 8)


def test_make_divisible_of_published_widths() -> None:
    assert [make_divisible(channels * 1.2) for channels in (16, 24, 40, 80, 112, 160)] == [24, 32, 48, 96, 136, 192]
