"""The supernet: an interpreter of ``Network`` on shared weights. The architecture is passed, never stored."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces import Architecture, Network, SearchSpace
from search_spaces.network import Activation, ActivationKind, Conv, Input, LayerNorm, Linear, Node, RelativeBias, Scale
from supernet import native
from supernet.data import resize
from supernet.errors import SupernetError
from supernet.operations import ACTIVATIONS, NORM_EPSILON, NormStatistics, compute, convolve
from supernet.parameters import SharedParameters, plan_slots
from supernet.standalone import StandaloneNetwork
from supernet.workers import Workers


@dataclass(frozen=True)
class Dropout:
    """Sets values to zero at random, and scales the others so that their mean stays.

    Attributes:
        share: of the values.
        generator: source of the randomness, on the values' device.
    """

    share: float
    generator: torch.Generator

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` of any shape, with its values dropped and scaled."""
        kept = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.share
        return x * kept.to(x.dtype) / (1 - self.share)


class Supernet(nn.Module):
    """One set of weights for every network of a space.

    Batch-norm statistics belong to a sub-network, not to the supernet: they are passed to ``forward`` (see
    ``estimate_statistics``); without them, the batch's own are used, as in training.

    Args:
        space: the space whose networks share the weights.
        seed: of the initial weights.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        slots = plan_slots(space.lower(arch) for arch in space.covering())
        self.shared = SharedParameters(slots, torch.Generator().manual_seed(seed))

    def forward(
        self,
        x: Tensor,
        arch: Architecture | Network,
        statistics: NormStatistics | None = None,
        *,
        collect: dict[str, tuple[Tensor, Tensor]] | None = None,
        dropout: Dropout | None = None,
        workers: Workers | None = None,
    ) -> Tensor:
        """Logits of one sub-network.

        Args:
            x: normalised images ``(batch, 3, height, width)``; resized to the network's resolution where they differ.
                The dtype is the one computed in (float32, bfloat16 or float16); batch norms compute in float32 inside.
            arch: which sub-network, as an architecture or lowered already.
            statistics: batch-norm statistics of that sub-network; ``None`` means the batch's own.
            collect: where given, filled with the mean and the biased variance of every batch norm's input.
            dropout: of the last linear layer's input.
            workers: the processes that each hold a part of the batch, whose own statistics are then those of all parts.

        Returns:
            Logits ``(batch, classes)``, float32.

        Raises:
            SupernetError: dropout for a network without a linear layer.
        """
        network = self.space.lower(arch) if isinstance(arch, Architecture) else arch
        classifier = _classifier(network) if dropout is not None else None
        joined = _joined_activations(network) if statistics is None and workers is None else {}
        norms = _BatchNorms(self.shared, statistics, collect, workers, joined)
        values: dict[str, Tensor] = {}
        for position, node in enumerate(network.nodes):
            if isinstance(node.op, Input):
                values[node.name] = resize(x, node.shape[-1])
                continue
            inputs = [values[name] for name in node.inputs]
            if isinstance(node.op, Activation) and node.inputs[0] in joined:
                values[node.name] = values.pop(node.inputs[0])
                continue
            if dropout is not None and node is classifier:
                inputs[0] = dropout(inputs[0])
            values[node.name] = self._compute(node, inputs, norms)
            for name in node.inputs:
                if network.last_use[name] == position:
                    values.pop(name, None)
        return values[network.output.name].float()

    def twin(self) -> Supernet:
        """Another supernet of the same space, with a copy of these weights."""
        return copy.deepcopy(self, {id(self.space): self.space})

    def extract(self, arch: Architecture | Network, statistics: NormStatistics) -> StandaloneNetwork:
        """A plain module, in evaluation mode, that computes what ``forward`` computes with these statistics."""
        network = self.space.lower(arch) if isinstance(arch, Architecture) else arch
        return StandaloneNetwork(network).load(self.shared, statistics)

    def _compute(self, node: Node, inputs: list[Tensor], norms: _BatchNorms) -> Tensor:
        shared, x = self.shared, inputs[0]
        match node.op:
            case Conv() as op:
                weight = shared.conv_weight(node.name, op).to(x.dtype)
                bias = shared.vector(node.name, "bias", op.out_channels).to(x.dtype) if op.bias else None
                y = convolve(op, x, weight, bias)
                return norms(node.name, y) if op.norm else y
            case Linear() as op:
                bias = shared.vector(node.name, "bias", op.out_features).to(x.dtype) if op.bias else None
                return compute(node, inputs, shared.matrix(node.name, op).to(x.dtype), bias)
            case LayerNorm() as op:
                scale = shared.vector(node.name, "weight", op.features).to(x.dtype)
                return compute(node, inputs, scale, shared.vector(node.name, "bias", op.features).to(x.dtype))
            case Scale() as op:
                return compute(node, inputs, shared.vector(node.name, "weight", op.features).to(x.dtype))
            case RelativeBias() as op:
                return compute(node, inputs, shared.relative_bias(node.name, op).to(x.dtype))
            case _:
                return compute(node, inputs)


@dataclass(frozen=True)
class _BatchNorms:
    """The batch norms of one forward pass, with the activations joined to them; see ``Supernet.forward``."""

    shared: SharedParameters
    statistics: NormStatistics | None
    collect: dict[str, tuple[Tensor, Tensor]] | None
    workers: Workers | None
    joined: Mapping[str, ActivationKind]

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """The norm of the node of this name, over ``x`` (batch, channels, height, width)."""
        scale, shift = (self.shared.vector(name, kind, x.shape[1]) for kind in ("norm_scale", "norm_shift"))
        activation = self.joined.get(name)
        if self.statistics is None and self.workers is None:
            computed = native.batch_norm(x, scale, shift, NORM_EPSILON, activation)
            if computed is not None:
                y, mean, variance = computed
                if self.collect is not None:
                    self.collect[name] = (mean, variance)
                return y
        y = self._library_norm(name, x, scale, shift)
        return y if activation is None else ACTIVATIONS[activation](y)

    def _library_norm(self, name: str, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        if self.collect is not None:
            variance, mean = torch.var_mean(x.detach().float(), (0, 2, 3), correction=0)
            self.collect[name] = (mean, variance)
        if self.statistics is not None:
            mean, variance = self.statistics[name]
            return F.batch_norm(x, mean, variance, scale, shift, training=False, eps=NORM_EPSILON)
        if self.workers is not None:
            return self.workers.batch_norm(x, scale, shift, NORM_EPSILON)
        return F.batch_norm(x, None, None, scale, shift, training=True, eps=NORM_EPSILON)


def _joined_activations(network: Network) -> dict[str, ActivationKind]:
    """Activations that nothing but a batch norm leads to, and that can be computed with it, by the norm's node."""
    uses = Counter(name for node in network.nodes for name in node.inputs)
    return {
        node.inputs[0]: node.op.kind
        for node in network.nodes
        if isinstance(node.op, Activation) and node.op.kind in native.FUSED
        if uses[node.inputs[0]] == 1 and _is_normed(network.by_name[node.inputs[0]])
    }


def _is_normed(node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.norm


def _classifier(network: Network) -> Node:
    for node in reversed(network.nodes):
        if isinstance(node.op, Linear):
            return node
    raise SupernetError("dropout works on the last linear layer's input, and this network has none; set it to 0")
