"""The measurements an agent has been asked for: each is made once, and kept until whoever asked has it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from typing import Any

from devices.agent import wire
from devices.agent.journal import Entry, Journal, State
from devices.agent.limits import MOST_REPLY_BYTES, Limits
from devices.agent.metrics import Metrics
from devices.agent.protocol import VERSION, MeasureRequest, RefusedError
from devices.agent.store import ArtifactStore
from devices.agent.turns import HungError, Turn, TurnTaker
from devices.clock import boot
from devices.device import Device
from devices.errors import DeviceError
from devices.measurement import Measurement

Log = Callable[[str], None]


@dataclass(eq=False)
class Job:
    """One measurement, and who waits for it: until when if they do not ask again, by client."""

    request: MeasureRequest
    id: str
    state: State = "queued"
    starts: int = 0
    result: dict[str, Any] | None = None
    leases: dict[str, float] = field(default_factory=dict)
    delivered: set[str] = field(default_factory=set)
    turn: Turn | None = None

    def entry(self) -> Entry:
        """As the journal holds it."""
        result = None if self.result is None else wire.dump(self.result).decode()
        return Entry(self.request.key, self.id, self.state, self.starts, json.dumps(self.request.to_json()), result)


class Bench:
    """Makes measurements one at a time, in a fair order, once for each key.

    Everything is in the journal before it is answered, so that an agent that is killed goes on where it was. A client
    that does not ask for ``lease_s`` gives up its claim: a measurement that nobody claims is not begun, while one that
    has been made is kept for whoever asks.

    Args:
        devices: by the names that clients use.
        journal: where the measurements are remembered; what is in it is taken up again.
        turns: whose turn it is on the board.
        limits: how much may wait and for how long.
        metrics: where measurements are counted.
        log: takes a line when something goes wrong that no client is told.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        devices: Mapping[str, Device],
        journal: Journal,
        turns: TurnTaker,
        limits: Limits,
        metrics: Metrics,
        *,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices, self._journal, self._turns = devices, journal, turns
        self._limits, self._metrics, self._log, self._clock = limits, metrics, log, clock
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._stopping = False
        self._store: ArtifactStore | None = None

    def start(self, store: ArtifactStore) -> None:
        """Take up what the journal holds, with the model files of a store."""
        self._store = store
        for entry in self._journal.entries():
            job = self._revived(entry)
            if job is None:
                continue
            self._jobs[entry.key] = job
            if job.state != "done":
                self._queue(job, limited=False)

    def stop(self) -> None:
        """Answer everybody who waits now, and no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def put_back(self) -> None:
        """Note that the measurement that is running was stopped by us and not by its model."""
        with self._changed:
            for job in self._jobs.values():
                if job.state == "running":
                    job.state, job.starts = "queued", job.starts - 1
                    self._remember(job)

    def needed(self) -> set[str]:
        """Digests of the model files that are still to be measured."""
        with self._changed:
            return {job.request.artifact.sha256 for job in self._jobs.values() if job.state != "done"}

    @property
    def kept(self) -> int:
        """Results that have not been fetched."""
        with self._changed:
            return sum(job.state == "done" for job in self._jobs.values())

    def ask(self, request: MeasureRequest, wait_s: float) -> dict[str, Any]:
        """Measure, or tell how far that is, after waiting for the end for a while.

        Raises:
            RefusedError: an unknown device, settings beyond what is allowed, a model file that is not here, a full
                queue or disk, or the agent is stopping.
        """
        with self._changed:
            job = self._jobs.get(request.key)
            if job is None or request.client in job.delivered:
                job = self._admitted(request)
            job.leases[request.client] = self._clock() + self._limits.lease_s
            self._changed.wait_for(lambda: job.state == "done" or self._stopping, wait_s)
            if self._stopping and job.state != "done":
                raise _stopping()
            job.leases[request.client] = self._clock() + self._limits.lease_s
            return self._told(job)

    def acknowledge(self, key: str, id: str, client: str) -> None:
        """A client has the result; it goes when nobody else waits for it. Unknown ones are gone already: no error."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None or job.id != id or job.state != "done":
                return
            job.delivered.add(client)
            job.leases.pop(client, None)
            if not self._wanted(job):
                self._forget(job)

    def _admitted(self, request: MeasureRequest) -> Job:
        if self._stopping:
            raise _stopping()
        if request.device not in self._devices:
            raise unknown_device(request.device, self._devices)
        if request.settings.timeout_s > self._limits.timeout_s:
            message = f"timeout_s is {request.settings.timeout_s}; this agent allows at most {self._limits.timeout_s:g}"
            raise RefusedError(400, "malformed", message)
        sha256 = request.artifact.sha256
        if self._store is None or not self._store.received(sha256)[1]:
            raise artifact_missing(sha256)
        job = Job(request, id=secrets.token_hex(8))
        try:
            self._journal.write(job.entry())
        except OSError as error:
            raise RefusedError(507, "disk", f"{error}; free some space on the agent's disk") from error
        previous = self._jobs.pop(request.key, None)
        self._jobs[request.key] = job
        try:
            self._queue(job)
        except RefusedError:
            self._forget(job)
            if previous:
                self._jobs[request.key] = previous
                self._remember(previous)
            raise
        if previous:
            job.leases.update(previous.leases)
        return job

    def _queue(self, job: Job, *, limited: bool = True) -> None:
        job.state = "queued"
        job.leases[job.request.client] = self._clock() + self._limits.lease_s
        job.turn = Turn(
            client=job.request.client,
            work=lambda: self._measure(job),
            limit_s=5 * job.request.settings.timeout_s + self._limits.grace_s,
            wanted=lambda: self._wanted(job),
        )
        job.turn.future.add_done_callback(lambda future: self._finish(job, future))
        self._turns.add(job.turn, limited=limited)

    def _wanted(self, job: Job) -> bool:
        now = self._clock()
        return any(until > now for until in list(job.leases.values()))

    def _measure(self, job: Job) -> dict[str, Any]:
        request, store = job.request, self._store
        assert store is not None  # noqa: S101 (jobs begin after start)
        with self._changed:
            job.state, job.starts = "running", job.starts + 1
            self._remember(job)
            self._changed.notify_all()
        store.use(request.artifact.sha256)
        artifact = replace(request.artifact, path=store.path(request.artifact.sha256))
        device = self._devices[request.device]
        made = device.measure(artifact, request.settings)
        return {"measurement": made.to_json(), "device": device.info().to_json()}

    def _finish(self, job: Job, future: Future[Any]) -> None:
        try:
            result = future.result()
            failed = result["measurement"]["error"] is not None
        except CancelledError:
            with self._changed:
                self._forget(job)
            return
        except Exception as error:  # whatever a device may raise is one row of results
            result, failed = self._failure(job.request, error), True
        self._metrics.count("measurements_total", device=job.request.device, outcome="failed" if failed else "made")
        with self._changed:
            job.state, job.result = "done", {**result, "finished": [boot(), self._clock()]}
            if isinstance(future.exception(), HungError):  # the board's failure: whoever asks later is not told of it
                self._forget(job)
            else:
                self._remember(job)
            self._drop_old_results()
            self._changed.notify_all()

    def _failure(self, request: MeasureRequest, error: Exception) -> dict[str, Any]:
        text = str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
        failed = Measurement.failed(request.artifact, request.device, request.settings, text[:2000])
        return {"measurement": failed.to_json(), "device": self._devices[request.device].info().to_json()}

    def _told(self, job: Job) -> dict[str, Any]:
        told: dict[str, Any] = {"version": VERSION, "key": job.request.key, "id": job.id, "state": job.state}
        if job.state == "done":
            result = dict(job.result or {})
            return {**told, "age_s": self._age_s(result.pop("finished", None)), **result}
        if job.state == "queued" and job.turn:
            told["ahead"] = self._turns.ahead_of(job.turn)
        return told

    def _age_s(self, finished: Any) -> float | None:  # noqa: ANN401 (out of the journal)
        """Seconds since a result was made; none where the board was started anew since."""
        started, at_s = finished or ("", 0.0)
        return max(0.0, self._clock() - at_s) if started == boot() else None

    def _revived(self, entry: Entry) -> Job | None:
        """A measurement out of the journal; none if it cannot be taken up any more."""
        try:
            request = MeasureRequest.from_json(wire.parse_object(entry.request.encode()))
            result = wire.parse_object(entry.result.encode(), MOST_REPLY_BYTES) if entry.result else None
        except wire.WireError as error:
            self._log(f"dropped a measurement that an earlier version of the agent was asked for: {error}")
            self._journal.delete(entry.key)
            return None
        job = Job(request, entry.id, entry.state, entry.starts, result)
        if result is None and request.device not in self._devices:
            self._forget(job)
            return None
        if entry.state == "running" and entry.starts >= self._limits.starts:
            reason = DeviceError(f"the agent ended {entry.starts} times while it measured this model: given up")
            job.state, job.result = "done", self._failure(request, reason)
            self._remember(job)
        return job

    def _remember(self, job: Job) -> None:
        try:
            self._journal.write(job.entry())
        except OSError as error:  # the result is not lost as long as this process lives
            self._log(str(error))

    def _forget(self, job: Job) -> None:
        if self._jobs.get(job.request.key) is job:
            del self._jobs[job.request.key]
        try:
            self._journal.delete(job.request.key)
        except OSError as error:
            self._log(str(error))

    def _drop_old_results(self) -> None:
        done = [job for job in self._jobs.values() if job.state == "done" and not self._wanted(job)]
        for job in done[: max(0, len(done) - self._limits.results)]:
            self._forget(job)


def unknown_device(name: str, devices: Mapping[str, object]) -> RefusedError:
    """There is no such device here."""
    return RefusedError(404, "unknown_device", f"this agent has no device {name!r}; it has {sorted(devices)}")


def artifact_missing(sha256: str) -> RefusedError:
    """The model file has not been uploaded, or has made room for others."""
    return RefusedError(409, "artifact_missing", f"the model file {sha256[:12]}… is not here; upload it first")


def _stopping() -> RefusedError:
    return RefusedError(503, "stopping", "the agent is being stopped; ask again when it runs again")
