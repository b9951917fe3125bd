"""The Ray cluster that work is given to."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from nas.errors import NasError


@contextmanager
def connected() -> Iterator[None]:
    """Be connected to a Ray cluster for the length of the block.

    That is the one this process is connected to already; else the one that ``RAY_ADDRESS`` names or that runs on this
    machine (as in ``ray job submit``); else a new one on this machine, which ends with the block.

    Raises:
        NasError: the cluster that ``RAY_ADDRESS`` names cannot be reached.
    """
    # Ray sends statistics of use to its makers unless told not to; nobody was asked whether that is wanted.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray would otherwise hide the GPUs of a process that asked for none.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray  # noqa: PLC0415 (takes a second, and only those wait who use it)

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        place = os.environ.get("RAY_ADDRESS", "this machine")
        raise NasError(
            f"there is no Ray cluster to be had at {place} ({error}); start one with `ray start --head`, set "
            "RAY_ADDRESS to one that runs, or unset it to have one here for as long as it is needed"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def set_aside(processes: str, count: int, *, threads: int, gpu: bool, remedy: str) -> dict[str, float]:
    """What Ray sets aside for each of several processes, by kind of resource.

    Args:
        processes: what they are, for the message.
        count: how many.
        threads: of each.
        gpu: whether each has a GPU of its own.
        remedy: what to do where the cluster is too small.

    Raises:
        NasError: the cluster does not have it.
    """
    import ray  # noqa: PLC0415

    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    needs = {"CPU": float(threads)} | ({"GPU": 1.0} if gpu else {})
    for kind, amount in needs.items():
        if there.get(kind, 0) < amount * count:
            raise NasError(
                f"{count} {processes} need {amount:g} {kind} each, and the Ray cluster has {there.get(kind, 0):g} in "
                f"all; {remedy}, or add machines with `ray start --address`"
            )
    return needs


def last_line(error: Exception) -> str:
    """What Ray's long messages come to."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def nodes_with(resource: str) -> list[str]:
    """Machines of the cluster that have a resource, as Ray names them."""
    import ray  # noqa: PLC0415

    return [
        str(node["NodeID"])
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node["Resources"].get(resource, 0) >= 1
    ]


def missing(resource: str) -> str:
    """Why nothing can be had that needs a resource, and what to do about it."""
    return (
        f"no machine of the Ray cluster has the resource {resource!r}; start Ray on the one that has the device with "
        f"`ray start --address HEAD:6379 --resources '{{\"{resource}\": 1}}'`"
    )
