from __future__ import annotations

import pickle

import pytest

from search_spaces import Network, NetworkBuilder, Node, SpaceError
from search_spaces.network import Activation, Add, Conv, Input

INPUT = Node("input", Input(), (), (3, 8, 8), "input")
RELU = Node("a.relu", Activation("relu"), ("input",), (3, 8, 8), "a")
SUM = Node("b.sum", Add(), ("a.relu", "input"), (3, 8, 8), "b")


def test_readings_of_the_graph() -> None:
    network = Network((INPUT, RELU, SUM))
    assert network.input is INPUT
    assert network.output is SUM
    assert network.by_name["a.relu"] is RELU
    assert network.last_use == {"input": 2, "a.relu": 2, "b.sum": 3}
    assert network.blocks == {"a": (RELU,), "b": (SUM,)}


def test_networks_are_values() -> None:
    network = Network((INPUT, RELU, SUM))
    again = pickle.loads(pickle.dumps(network))  # noqa: S301 (our own bytes)
    assert again == network
    assert hash(again) == hash(network)
    assert again.key == network.key != Network((INPUT, RELU)).key


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((INPUT, RELU, RELU), "used twice"),
        ((INPUT, SUM, RELU), "reads .*'a.relu'"),
        ((RELU,), "starts with its one input"),
        ((INPUT, Node("second", Input(), (), (1,), "input")), "starts with its one input"),
    ],
)
def test_broken_graphs_are_refused(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Network(nodes)


def test_depthwise_is_told_from_grouped_and_from_one_channel() -> None:
    assert Conv(8, 8, 3, groups=8).depthwise
    assert not Conv(8, 8, 3, groups=4).depthwise
    assert not Conv(8, 16, 3, groups=8).depthwise
    assert not Conv(1, 1, 3).depthwise


def test_key_tells_every_attribute() -> None:
    def key(stride: int, norm: bool) -> str:
        builder = NetworkBuilder((3, 1, 1))
        builder.conv("conv", builder.input, 4, 3, stride=stride, norm=norm)
        return builder.build().key

    assert len({key(1, True), key(2, True), key(1, False)}) == 3
