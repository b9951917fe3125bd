from __future__ import annotations

import pytest

from devices.agent.client import AgentClient, Patience
from devices.agent.protocol import RefusedError


class Time:
    """A clock that only attempts and pauses move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("held_s", "pauses"),
    [(0.0, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]), (3.0, [0.5, 0.5, 0.5, 1.0, 2.0, 2.0]), (20.0, [0.5] * 6)],
)
def test_who_was_held_comes_back_at_once(held_s: float, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time()
    monkeypatch.setattr("devices.agent.client.time", clock)
    client = AgentClient("http://localhost:1", None, None, Patience())

    def attempt() -> bytes:
        clock.now += held_s
        if len(clock.pauses) < 6:
            raise RefusedError(503, "busy", "other turns come first; ask again")
        return b"done"

    assert client._patiently(attempt, Patience(first_pause_s=0.5)) == b"done"
    assert clock.pauses == pytest.approx(pauses)
