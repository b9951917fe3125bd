"""Everything that training changes: weights, momentum, their moving average, the frozen teacher, the loss scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor

from search_spaces import SearchSpace
from supernet.channels import channel_groups, channel_limits, importance_order, permute
from supernet.errors import SupernetError
from supernet.interpreter import Supernet
from supernet.settings import TrainSettings
from supernet.strategies import FreezeTeacher, SortChannels


class TrainState:
    """The state of a training run, which a checkpoint holds and brings back.

    Args:
        space: whose networks share the weights.
        settings: how they are trained.
    """

    def __init__(self, space: SearchSpace, settings: TrainSettings) -> None:
        device, dtype = settings.resolve_device(), settings.resolve_dtype()
        self._settings = settings
        self.supernet = Supernet(space, seed=settings.seed).to(device)
        self.optimiser = _optimiser(self.supernet, settings)
        self.average = _frozen(self.supernet) if settings.ema_decay > 0 else None
        self.teacher: Supernet | None = None
        # The smallest gradients are below float16's range; bfloat16 has float32's.
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)

    @property
    def judged(self) -> Supernet:
        """The supernet that is evaluated and saved: the moving average of the weights, where there is one."""
        return self.average or self.supernet

    def prepare(self, event: FreezeTeacher | SortChannels) -> None:
        """Do what a plan asks for before a step."""
        if isinstance(event, FreezeTeacher):
            self.teacher = _frozen(self.judged)
        else:
            self._sort_channels(event)

    @torch.no_grad()
    def update(self, step: int, rate: float) -> None:
        """Move the weights along the gradients that have been added up, and clear these.

        Args:
            step: number of steps taken before this one.
            rate: learning rate.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if self._settings.gradient_clip > 0:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_value_(self.supernet.parameters(), self._settings.gradient_clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            decay = min(self._settings.ema_decay, (1 + step) / (10 + step))
            for mean, now in zip(self.average.parameters(), self.supernet.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state, for a checkpoint; on the CPU."""
        return {name: tensor.detach().cpu().contiguous() for name, tensor in self._named_tensors()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` gave, in a state made with the same arguments."""
        if any(name.startswith("teacher:") for name in tensors):
            self.teacher = _frozen(self.supernet)
        for kind, supernet in self._supernets():
            for key, parameter in supernet.shared.named_parameters():
                parameter.copy_(tensors[f"{kind}:{key}"])
        for key, parameter in self.supernet.shared.named_parameters():
            if f"momentum:{key}" in tensors:
                buffer = tensors[f"momentum:{key}"].to(parameter.device)
                self.optimiser.state[parameter]["momentum_buffer"] = buffer
        if self.scaler.is_enabled():
            scale, growth = tensors["loss_scale"].tolist()
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(growth)})

    def check_finite(self) -> None:
        """Check that the weights are numbers, so that no checkpoint of others takes a good one's place.

        Raises:
            SupernetError: they are not.
        """
        for key, parameter in self.supernet.shared.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise SupernetError(f"weights of {key.partition('|')[0].replace('/', '.')!r} are not finite")

    def _supernets(self) -> Iterator[tuple[str, Supernet]]:
        for kind, supernet in (("weight", self.supernet), ("average", self.average), ("teacher", self.teacher)):
            if supernet is not None:
                yield kind, supernet

    def _momentum(self) -> dict[str, Tensor]:
        buffers = {}
        for key, parameter in self.supernet.shared.named_parameters():
            buffer = self.optimiser.state.get(parameter, {}).get("momentum_buffer")
            if buffer is not None:
                buffers[key] = cast(Tensor, buffer)
        return buffers

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for kind, supernet in self._supernets():
            for key, parameter in supernet.shared.named_parameters():
                yield f"{kind}:{key}", parameter
        for key, buffer in self._momentum().items():
            yield f"momentum:{key}", buffer
        if self.scaler.is_enabled():
            values = self.scaler.state_dict()
            yield "loss_scale", torch.tensor([values["scale"], values["_growth_tracker"]], dtype=torch.float64)

    def _sort_channels(self, event: SortChannels) -> None:
        """Sort weights and all that is kept for each of them; the teacher's outputs do not depend on any order."""
        space, shared = self.supernet.space, self.supernet.shared
        used = [space.lower(arch) for arch in event.used]
        for group in channel_groups(space, shared):
            order = importance_order(shared, group, channel_limits(used, group))
            permute(dict(shared.named_parameters()), group, order)
            permute(self._momentum(), group, order)
            if self.average is not None:
                permute(dict(self.average.shared.named_parameters()), group, order)


def _frozen(supernet: Supernet) -> Supernet:
    return supernet.twin().requires_grad_(requires_grad=False)


def _optimiser(supernet: Supernet, settings: TrainSettings) -> torch.optim.SGD:
    shared = supernet.shared
    decayed = [p for key, p in shared.named_parameters() if shared.is_decayed(key)]
    plain = [p for key, p in shared.named_parameters() if not shared.is_decayed(key)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, settings.learning_rate, settings.momentum, nesterov=settings.momentum > 0)
