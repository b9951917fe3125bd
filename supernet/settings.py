"""How a supernet is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import torch

from supernet.errors import SupernetError
from supernet.ranges import check_ranges
from supernet.strategies import strategy_of

Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]
Watcher: TypeAlias = Literal["tensorboard", "mlflow"]


@dataclass(frozen=True)
class TrainSettings:
    """How a supernet is trained: a strategy, SGD with Nesterov momentum, cosine schedule.

    Attributes:
        strategy: which sub-networks learn when, and from what.
        options: the strategy's own settings.
        epochs: passes over the training images, all phases of the strategy together.
        batch_size: images a pass of a sub-network, and a step where ``accumulate`` is 1.
        accumulate: batches a step: their gradients are averaged before the weights move. Batch norms see one batch at
            a time; all else is as with a batch so many times as large.
        learning_rate: its peak, reached after the warm-up.
        warmup_epochs: epochs of linear warm-up.
        momentum: of SGD.
        weight_decay: of convolution and linear weights; norms, biases and kernel transforms have none.
        label_smoothing: of the labels; outputs of other networks are learned from as they are.
        gradient_clip: largest absolute value of an entry of the gradient, summed over a step's sub-networks; 0: none.
        ema_decay: the weights judged and saved are a moving average, of which each step keeps this share, less in the
            first steps: ``min(ema_decay, (1 + step) / (10 + step))``; 0: the last step's own weights.
        random_subnets: sub-networks a step beside the largest and the smallest.
        solo_share: share of all steps in which the largest network trains alone, before the others join.
        grow_resolution: while it trains alone, it sees images of every resolution of the space in turn, from the
            lowest to the highest, which costs less (progressive learning, Tan & Le 2021, section 4).
        crop_padding: random crops of images padded by this much with their own mirror image, px.
        flip: mirror images from left to right at random.
        seed: of initial weights, batches, sub-networks and dropout.
        precision: dtype of activations; auto: bfloat16 where the processor multiplies it in hardware.
        device: auto: CUDA where there is a GPU.
        threads: CPU threads; 0 leaves PyTorch's own choice.
        checkpoint_every_s: seconds between checkpoints.
        evaluate_every: epochs between evaluations of the smallest, the largest and some random sub-networks.
        watch: where figures go beside ``log.jsonl``: ``tensorboard``, ``mlflow``.

    Raises:
        SupernetError: a value out of its range, or a strategy or options that there are not.
    """

    strategy: str = "sandwich"
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 20
    batch_size: int = 128
    accumulate: int = 1
    learning_rate: float = 0.2
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 3e-5
    label_smoothing: float = 0.1
    gradient_clip: float = 1.0
    ema_decay: float = 0.0
    random_subnets: int = 2
    solo_share: float = 0.0
    grow_resolution: bool = False
    crop_padding: int = 4
    flip: bool = True
    seed: int = 0
    precision: Precision = "auto"
    device: DeviceName = "auto"
    threads: int = 0
    checkpoint_every_s: float = 60.0
    evaluate_every: int = 1
    watch: tuple[Watcher, ...] = ()

    def __post_init__(self) -> None:
        """Check every range, and that the strategy can be made."""
        ranges: dict[str, tuple[float, float]] = {
            "epochs": (1, 10**6),
            "batch_size": (2, 10**6),
            "accumulate": (1, 10**4),
            "learning_rate": (1e-9, 1e3),
            "warmup_epochs": (0.0, self.epochs),
            "momentum": (0.0, 0.9999),
            "weight_decay": (0.0, 1.0),
            "label_smoothing": (0.0, 0.99),
            "gradient_clip": (0.0, 1e9),
            "ema_decay": (0.0, 0.999999),
            "random_subnets": (0, 100),
            "solo_share": (0.0, 1.0),
            "crop_padding": (0, 10**4),
            "seed": (0, 2**63 - 1),
            "threads": (0, 1024),
            "checkpoint_every_s": (0.0, 1e9),
            "evaluate_every": (1, 10**6),
        }
        check_ranges("train", vars(self), ranges)
        choices = {"precision": (self.precision,), "device": (self.device,), "watch": self.watch}
        kinds = {"precision": Precision, "device": DeviceName, "watch": Watcher}
        for name, given in choices.items():
            allowed = get_args(kinds[name])
            if not set(given) <= set(allowed):
                raise SupernetError(f"train.{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name in ("grow_resolution", "flip"):
            if not isinstance(getattr(self, name), bool):
                raise SupernetError(f"train.{name} is {getattr(self, name)!r}; allowed: true, false")
        strategy_of(self)

    def resolve_device(self) -> torch.device:
        """The device to train on.

        Raises:
            SupernetError: CUDA was asked for and is not there.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SupernetError("train.device is 'cuda', but PyTorch sees no GPU; use 'auto' or 'cpu'")
        use_cuda = self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())
        return torch.device("cuda" if use_cuda else "cpu")

    def resolve_dtype(self) -> torch.dtype:
        """The dtype of activations and of the weights multiplied with them; the weights kept are float32 always."""
        if self.precision == "auto":
            if self.resolve_device().type == "cuda":
                fast = torch.cuda.is_bf16_supported(including_emulation=False)
            else:
                has = torch.cpu.get_capabilities()
                fast = bool(has.get("amx_bf16", False) or has.get("avx512_bf16", False))
            return torch.bfloat16 if fast else torch.float32
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.precision]
