"""Training kernels in C, compiled on the machine that trains; where they cannot be, PyTorch's own operations serve."""

from supernet.native.depthwise import depthwise_weight_gradient
from supernet.native.library import unavailable_reason
from supernet.native.norm import FUSED, batch_norm

__all__ = ["FUSED", "batch_norm", "depthwise_weight_gradient", "unavailable_reason"]
