"""Two real processes, connected by gloo, against one."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from search_spaces import get_space
from supernet import Supernet
from supernet.workers import Workers

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this PyTorch has no torch.distributed")

SIZE = 2
SMALL = {"resolutions": [16], "widths": [0.5], "depths": [1], "kernels": [3, 5], "expansions": [2, 3]}


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    # The parts differ in level, so that statistics of a part alone would show.
    images = torch.randn(8, 3, 16, 16, generator=generator) + torch.arange(8).view(-1, 1, 1, 1)
    return images, torch.randint(10, (8,), generator=generator)


def step(supernet: Supernet, images: Tensor, labels: Tensor, workers: Workers | None = None) -> Tensor:
    loss = F.cross_entropy(supernet(images, supernet.space.largest(), workers=workers), labels)
    torch.autograd.backward(loss)
    return loss.detach()


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=rank, world_size=SIZE, timeout=timedelta(seconds=120)
    )
    workers = Workers()
    supernet = Supernet(get_space("mobilenetv3_32", SMALL), seed=0)
    images, labels = (part.chunk(SIZE)[rank] for part in batch())
    loss = workers.mean(step(supernet, images, labels, workers))
    workers.average_gradients(supernet.parameters())
    found: dict[str, Any] = {name: p.grad for name, p in supernet.named_parameters() if p.grad is not None}
    torch.save({"loss": loss, "gradients": found}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.timeout(300)
def test_two_processes_compute_what_one_does_on_the_whole_batch(tmp_path: Path) -> None:
    # This file is also the program of each process.
    processes = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(SIZE)]
    assert [process.wait() for process in processes] == [0] * SIZE

    supernet = Supernet(get_space("mobilenetv3_32", SMALL), seed=0)
    images, labels = batch()
    loss = step(supernet, images, labels)
    for rank in range(SIZE):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found["loss"], loss)
        for name, parameter in supernet.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(found["gradients"][name], parameter.grad, rtol=1e-3, atol=1e-5)


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
