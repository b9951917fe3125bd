"""A cluster of machines that are all here, and processes of Ray's to kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

_STORE_BYTES = 2**27


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One cluster for all tests of a module: a machine with one processor. This process is connected to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
        found = Cluster(initialize_head=True, head_node_args=head)
        ray.init(address=found.address, log_to_driver=False)
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture
def add_machine(cluster: Cluster) -> Iterator[Callable[..., Callable[[], None]]]:
    """Adds a machine with one processor to the cluster, which is killed by what is returned or when the test ends."""
    added = []

    def add(**options: Any) -> Callable[[], None]:
        machine = cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES, **options)
        added.append(machine)
        return lambda: cluster.remove_node(machine, allow_graceful=False)

    yield add
    for machine in added:
        if machine in cluster.worker_nodes:
            cluster.remove_node(machine, allow_graceful=False)


@pytest.fixture
def kill_process() -> Callable[[str], bool]:
    """Kills one of the processes of a kind that Ray began for this one, and says whether there was one."""

    def kill(kind: str) -> bool:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if place.read_bytes().startswith(f"ray::{kind}".encode()) and _began_here(int(place.parent.name)):
                    os.kill(int(place.parent.name), signal.SIGKILL)
                    return True
            except OSError:
                continue
        return False

    return kill


def _began_here(process: int) -> bool:
    """Whether it descends from this one; tests in other processes have theirs."""
    while process > 1 and process != os.getpid():
        # The name in brackets may hold anything; the parent is the second value after it.
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process == os.getpid()
