"""What a supernet is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from supernet.data.images import ImageData
from supernet.data.preprocessing import Preprocessing
from supernet.data.split import Split


@dataclass(frozen=True)
class TrainData:
    """What a supernet is trained on and watched with."""

    images: ImageData
    split: Split
    preprocessing: Preprocessing
