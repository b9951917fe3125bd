"""What every search space promises, run over every space in the registry."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import (
    Architecture,
    SearchSpace,
    SpaceError,
    describe_space,
    flash_bytes,
    get_space,
    macs,
    parameters,
    peak_activation_bytes,
    space_names,
)
from search_spaces.network import Conv, LayerNorm, Linear, Network, RelativeBias, Scale

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module", params=space_names())
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return get_space(request.param)


def any_choices(space: SearchSpace, seed: int) -> Architecture:
    """Uniform over all choices, canonical or not."""
    choices = np.random.default_rng(seed).integers(0, space.option_counts)
    return Architecture(space.name, tuple(choices.tolist()))


def test_default_space_has_its_registered_name(space: SearchSpace) -> None:
    assert space.name in space_names()
    assert describe_space(space.name)
    assert get_space(space.name).decisions == space.decisions


def test_every_option_is_listed_once(space: SearchSpace) -> None:
    names = [decision.name for decision in space.decisions]
    assert len(set(names)) == len(names)
    for decision in space.decisions:
        assert len(set(decision.options)) == len(decision.options) > 0


def test_size_lies_between_its_obvious_bounds(space: SearchSpace) -> None:
    counts = [int(count) for count in space.option_counts]
    assert isinstance(space.size, int)
    if prod(counts) <= 20_000:
        every = np.array(list(product(*map(range, counts))))
        assert len(np.unique(space.canonical_indices(every), axis=0)) == space.size
    else:
        free = [count for count, d in zip(counts, space.decisions, strict=True) if d.condition is None]
        assert prod(free) <= space.size <= prod(counts)


@few
@given(seed=seeds)
def test_canonical_is_idempotent_and_lowers_to_the_same_network(space: SearchSpace, seed: int) -> None:
    arch = any_choices(space, seed)
    canonical = space.canonical(arch)
    assert space.canonical(canonical) == canonical
    assert space.lower(arch) == space.lower(canonical)
    assert space.lower(arch).key == space.lower(canonical).key


@few
@given(left=seeds, right=seeds)
def test_networks_are_equal_exactly_where_canonical_forms_are(space: SearchSpace, left: int, right: int) -> None:
    a = space.canonical(any_choices(space, left))
    b = space.mutate(a, np.random.default_rng(right), rate=0.0)
    assert a != b
    assert a.key != b.key
    assert space.lower(a) != space.lower(b)
    assert space.lower(a).key != space.lower(b).key
    assert (space.encode([a]) != space.encode([b])).any()


@few
@given(seed=seeds, rate=st.floats(0, 1))
def test_mutate_gives_another_canonical_architecture(space: SearchSpace, seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    for _ in range(5):
        child = space.mutate(arch, rng, rate)
        assert child != arch
        assert space.canonical(child) == child
        arch = child


@few
@given(seed=seeds)
def test_crossover_takes_every_choice_from_a_parent(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = space.sample(rng), space.sample(rng)
    child = space.crossover(left, right, rng)
    assert space.canonical(child) == child
    if len(space.decisions) <= 6:
        # Every child can be listed. A cell's canonical form may spell a choice of its parents in another way.
        mixes = product(*zip(left.choices, right.choices, strict=True))
        assert child in {space.canonical(Architecture(space.name, mix)) for mix in mixes}
    else:
        parents = space.options_of(left).items() | space.options_of(right).items()
        assert space.options_of(child).items() <= parents
    assert space.crossover(left, left, rng) == left


@few
@given(seed=seeds)
def test_arrays_and_architectures_agree(space: SearchSpace, seed: int) -> None:
    indices = space.sample_indices(np.random.default_rng(seed), 8)
    archs = space.architectures(indices)
    assert (space.indices(archs) == indices).all()
    assert (space.canonical_indices(indices) == indices).all()
    code = space.encode(archs)
    assert code.shape == (8, int(space.option_counts.sum()))
    assert code.dtype == np.float32
    assert (code.sum(1) == space.active(indices).sum(1)).all()
    assert len({row.tobytes() for row in code}) == len(set(archs))


@few
@given(seed=seeds)
def test_options_round_trip(space: SearchSpace, seed: int) -> None:
    arch = space.sample(np.random.default_rng(seed))
    assert space.from_options(space.options_of(arch)) == arch
    assert pickle.loads(pickle.dumps(arch)) == arch  # noqa: S301 (our own bytes)


@few
@given(seed=seeds)
def test_lowered_networks_are_well_formed(space: SearchSpace, seed: int) -> None:
    network = space.lower(space.sample(np.random.default_rng(seed)))
    assert_well_formed(network)
    assert macs(network) > 0
    assert parameters(network) > 0
    assert flash_bytes(network, 8) < flash_bytes(network, 32)
    assert peak_activation_bytes(network, 8) * 4 == peak_activation_bytes(network, 32)


def assert_well_formed(network: Network) -> None:
    for node in network.nodes:
        assert min(node.shape) >= 1
        assert all(isinstance(axis, int) for axis in node.shape)
        match node.op:
            case Conv() as conv:
                assert network.by_name[node.inputs[0]].shape[0] == conv.in_channels
                assert node.shape[0] == conv.out_channels
                assert not (conv.norm and conv.bias)
            case Linear() as linear:
                assert network.by_name[node.inputs[0]].shape[-1] == linear.in_features
                assert node.shape[-1] == linear.out_features
            case LayerNorm() as norm:
                assert node.shape[-1] == norm.features
            case Scale() as scale:
                assert node.shape[0 if len(node.shape) == 3 else -1] == scale.features
            case RelativeBias() as bias:
                tokens = bias.height * bias.width
                assert node.shape == (bias.heads, tokens, tokens)
            case _:
                pass
    read = {name for node in network.nodes for name in node.inputs}
    assert [node.name for node in network.nodes if node.name not in read] == [network.output.name]
    assert sum(len(nodes) for nodes in network.blocks.values()) == len(network.nodes) - 1


def test_smallest_and_largest_bound_the_costs(space: SearchSpace) -> None:
    smallest, largest = space.smallest(), space.largest()
    assert space.canonical(smallest) == smallest
    assert space.canonical(largest) == largest
    rng = np.random.default_rng(0)
    for arch in [space.sample(rng) for _ in range(20)]:
        assert parameters(space.lower(smallest)) <= parameters(space.lower(arch)) <= parameters(space.lower(largest))


def test_covering_holds_the_largest_shape_of_every_weight(space: SearchSpace) -> None:
    covered: dict[str, tuple[int, int, int]] = {}
    for arch in space.covering():
        assert space.canonical(arch) == arch
        for name, shape in weight_shapes(space.lower(arch)).items():
            held = covered.get(name, shape)
            covered[name] = (max(held[0], shape[0]), max(held[1], shape[1]), max(held[2], shape[2]))
    rng = np.random.default_rng(1)
    for _ in range(30):
        for name, shape in weight_shapes(space.lower(space.sample(rng))).items():
            assert name in covered
            assert all(axis <= most for axis, most in zip(shape, covered[name], strict=True)), name


def weight_shapes(network: Network) -> dict[str, tuple[int, int, int]]:
    shapes = {}
    for node in network.nodes:
        match node.op:
            case Conv() as conv:
                shapes[node.name] = (conv.out_channels, conv.in_channels // conv.groups, conv.kernel)
            case Linear() as linear:
                shapes[node.name] = (linear.out_features, linear.in_features, 1)
            case LayerNorm() | Scale() as vector:
                shapes[node.name] = (vector.features, 1, 1)
            case RelativeBias() as table:
                shapes[node.name] = (table.heads, table.height, table.width)
            case _:
                pass
    return shapes


def test_sampling_is_a_function_of_the_generator(space: SearchSpace) -> None:
    first = [space.sample(np.random.default_rng(7)) for _ in range(2)]
    assert first[0] == first[1]
    counts = [np.bincount(column) for column in space.sample_indices(np.random.default_rng(0), 3000).T]
    for decision, seen, options in zip(space.decisions, counts, space.option_counts, strict=True):
        assert len(seen) == options, f"options of {decision.name} are never sampled"


def test_keys_are_the_same_in_another_process(space: SearchSpace) -> None:
    arch = space.sample(np.random.default_rng(3))
    script = (
        "import numpy as np; from search_spaces import get_space\n"
        f"space = get_space({space.name!r}); arch = space.sample(np.random.default_rng(3))\n"
        "import sys; sys.stdout.write(arch.key + ' ' + space.lower(arch).key)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [arch.key, space.lower(arch).key]


def test_wrong_architectures_are_refused_with_what_is_allowed(space: SearchSpace) -> None:
    choices = space.smallest().choices
    with pytest.raises(SpaceError, match=r"another.*" + space.name):
        space.lower(Architecture("another", choices))
    with pytest.raises(SpaceError, match=f"{len(choices)} decisions; {len(choices) + 1} choices"):
        space.canonical(Architecture(space.name, (*choices, 0)))
    for bad in (-1, int(space.option_counts[0])):
        with pytest.raises(SpaceError, match=rf"{space.decisions[0].name}.*index {bad} was given; allowed: 0 to"):
            space.lower(Architecture(space.name, (bad, *choices[1:])))
    with pytest.raises(SpaceError, match=r"no decision 'colour'"):
        space.from_options({"colour": 1})
    with pytest.raises(SpaceError, match=r"'purple' was given; allowed: \["):
        space.from_options({space.decisions[0].name: "purple"})


def test_unknown_options_of_a_space_are_refused(space: SearchSpace) -> None:
    with pytest.raises(SpaceError, match="colour"):
        get_space(space.name, {"colour": 1})
    with pytest.raises(SpaceError, match="classes"):
        get_space(space.name, {"classes": 1})
