"""What an agent lets its clients do, in one place."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024

MOST_REPLY_BYTES = 64 * MIB
"""Most that a client reads of an answer: a million samples written out take a third of it."""
MOST_CLASSES = 1_000_000
"""Most outputs of a model."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request, one client and all clients together may take.

    Attributes:
        artifact_bytes: largest model file.
        disk_bytes: all model files together, whole and half uploaded; the longest unused make room for new ones.
        free_bytes: left free on the disk whatever the clients want.
        images_bytes: largest batch of images to predict.
        results: finished measurements kept for clients that have not fetched them.
        waiting: turns that may wait for the device.
        waiting_per_client: turns of one client that may wait.
        connections: clients connected at the same time.
        request_s: for a request's headers to arrive, and the longest silence within its body, which may take longer by
            one second for every ``bytes_per_s`` bytes.
        bytes_per_s: slowest upload.
        wait_s: longest that a request is held until there is news.
        lease_s: a place in the queue that nobody asks about for so long is given up.
        timeout_s: longest ``timeout_s`` that a client may set.
        grace_s: a device that has not answered after five times ``timeout_s`` (the settings' own bound on one attempt)
            and this has hung.
        prediction_s: a batch of images that takes longer is given up.
        starts: how often the agent may end during one measurement before the model is held to be the cause.
        shutdown_s: for the measurement that is running to end when the agent is stopped.
    """

    artifact_bytes: int = 512 * MIB
    disk_bytes: int = 2048 * MIB
    free_bytes: int = 64 * MIB
    images_bytes: int = 32 * MIB
    results: int = 10_000
    waiting: int = 1024
    waiting_per_client: int = 256
    connections: int = 64
    request_s: float = 20.0
    bytes_per_s: int = 10_000
    wait_s: float = 20.0
    lease_s: float = 180.0
    timeout_s: float = 3600.0
    grace_s: float = 180.0
    prediction_s: float = 300.0
    starts: int = 2
    shutdown_s: float = 10.0
