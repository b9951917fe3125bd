from __future__ import annotations

from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Network, NetworkBuilder, get_space, peak_activation_bytes
from search_spaces.memory import peak_activation_elements
from search_spaces.network import Activation, Reshape


def simulated_peak(network: Network) -> int:
    """Runs the network buffer by buffer: allocate, compute, free what nobody will read again."""
    pending = {node.name: sum(node.name in later.inputs for later in network.nodes) for node in network.nodes}
    buffers: dict[int, tuple[int, set[str]]] = {}  # size and tensors that live in it
    home: dict[str, int] = {}
    peak = 0
    for number, node in enumerate(network.nodes):
        readers_left = 0
        if node.inputs:
            tensors = buffers[home[node.inputs[0]]][1]
            readers_left = sum(pending[name] for name in tensors) - 1
        shares = isinstance(node.op, Reshape) or (isinstance(node.op, Activation) and readers_left == 0)
        home[node.name] = home[node.inputs[0]] if shares else number
        buffers.setdefault(home[node.name], (prod(node.shape), set()))[1].add(node.name)
        peak = max(peak, sum(size for size, _ in buffers.values()))
        for name in set(node.inputs):
            pending[name] -= 1
        is_last = node is network.output
        for key, (_, tensors) in list(buffers.items()):
            if not is_last and key != home[node.name] and not any(pending[name] for name in tensors):
                del buffers[key]
    return peak


@st.composite
def random_graphs(draw: st.DrawFn) -> Network:
    """Graphs in which every node is read by something, and any node may be read late."""
    builder = NetworkBuilder((4, 4, 4))
    names = [builder.input]
    unread = [builder.input]
    for index in range(draw(st.integers(1, 14))):
        source = draw(st.sampled_from(names))
        kind = draw(st.sampled_from(["conv", "activation", "reshape", "concat"]))
        if kind == "conv":
            new = builder.conv(f"n{index}", source, draw(st.sampled_from([4, 8, 16])))
            used = (source,)
        elif kind == "activation":
            new, used = builder.activation(f"n{index}", source, "relu"), (source,)
        elif kind == "reshape":
            new, used = builder.reshape(f"n{index}", source, builder.shape(source)), (source,)
        else:
            used = (source, draw(st.sampled_from(names)))
            new = builder.concat(f"n{index}", used)
        unread = [name for name in unread if name not in used] + [new]
        names.append(new)
    builder.concat("out", tuple(unread))
    return builder.build()


@settings(max_examples=200, deadline=None)
@given(network=random_graphs())
def test_peak_against_a_simulated_run(network: Network) -> None:
    assert peak_activation_elements(network) == simulated_peak(network)


def test_chain_and_residual_by_hand() -> None:
    builder = NetworkBuilder((2, 4, 4))  # 32 elements
    x = builder.conv("wide", builder.input, 8)  # 128
    y = builder.activation("relu", x, "relu")  # in place
    z = builder.conv("same", y, 8)  # 128
    builder.add("sum", z, y)  # 128: both inputs and the sum are alive
    assert peak_activation_elements(builder.build()) == 3 * 128
    assert peak_activation_bytes(builder.build(), 8) == 3 * 128
    assert peak_activation_bytes(builder.build(), 4) == 3 * 64


def test_an_activation_read_elsewhere_does_not_overwrite() -> None:
    builder = NetworkBuilder((2, 4, 4))
    x = builder.conv("conv", builder.input, 2)
    builder.add("sum", builder.activation("relu", x, "relu"), x)
    assert peak_activation_elements(builder.build()) == 3 * 32


def test_a_scale_that_is_folded_takes_no_memory() -> None:
    builder = NetworkBuilder((2, 4, 4))
    scaled = builder.scale("scale", builder.conv("conv", builder.input, 2))
    builder.add("sum", scaled, builder.input)
    assert peak_activation_elements(builder.build()) == 3 * 32
    builder = NetworkBuilder((2, 4, 4))
    x = builder.conv("conv", builder.input, 2)
    builder.add("sum", builder.scale("scale", x), x)
    assert builder.build().folded_scales == set()


def test_published_space_against_a_simulated_run() -> None:
    space = get_space("mobilenetv3_32")
    for arch in (space.smallest(), space.largest()):
        network = space.lower(arch)
        assert peak_activation_elements(network) == simulated_peak(network)
