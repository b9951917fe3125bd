from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, MeasureSettings
from devices.agent.bench import Bench
from devices.agent.journal import Entry, Journal
from devices.agent.limits import Limits
from devices.agent.metrics import Metrics
from devices.agent.protocol import MeasureRequest, RefusedError
from devices.agent.store import ArtifactStore, Piece
from devices.agent.turns import TurnTaker

Start = Callable[..., "tuple[Bench, TurnTaker]"]
Ask = Callable[..., MeasureRequest]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, counting: Any, clock: Clock, log: list[str]) -> Iterator[Start]:
    """A bench over one journal, and its turns, which are not taken before they are started."""
    journals: list[Journal] = []

    def make(**limits: Any) -> tuple[Bench, TurnTaker]:
        for journal in journals:
            journal.close()
        bounds = Limits(**limits)
        journals.append(Journal(tmp_path / "journal.sqlite"))
        turns = TurnTaker(bounds)
        bench = Bench({"cpu": counting}, journals[-1], turns, bounds, Metrics(), log=log.append, clock=clock)
        bench.start(ArtifactStore(tmp_path, bounds, bench.needed))
        return bench, turns

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def asked(tmp_path: Path, model: Callable[..., Artifact], settings: MeasureSettings) -> Ask:
    """A request whose file has been uploaded."""
    store = ArtifactStore(tmp_path, Limits(), set)

    def make(client: str = "me", content: bytes = b"model") -> MeasureRequest:
        sha256 = hashlib.sha256(content).hexdigest()
        store.receive(sha256, Piece(0, len(content), len(content)), io.BytesIO(content))
        return MeasureRequest(client, "cpu", model(content), settings)

    return make


def test_a_measurement_that_nobody_asks_about_any_more_is_not_begun(
    start: Start, asked: Ask, clock: Clock, counting: Any
) -> None:
    bench, turns = start(lease_s=10.0)
    assert bench.ask(asked("gone", b"left"), 0)["state"] == "queued"
    bench.ask(asked("me"), 0)
    bench.ask(asked("gone"), 0)
    clock.now = 8.0
    assert bench.ask(asked("me"), 0)["ahead"] == 1
    clock.now = 12.0
    turns.start()
    done = bench.ask(asked("me"), 20)
    assert done["state"] == "done"
    assert counting.measured == [asked().artifact.sha256]
    bench.acknowledge(done["key"], done["id"], "me")
    assert bench.kept == 0  # the other one's claim had ended
    turns.stop(10)


def test_a_result_stays_until_everybody_who_waits_has_it(start: Start, asked: Ask, counting: Any) -> None:
    bench, turns = start()
    bench.ask(asked("you"), 0)
    turns.start()
    mine = bench.ask(asked("me"), 20)
    bench.acknowledge(mine["key"], "0" * 16, "me")
    assert bench.kept == 1
    bench.acknowledge(mine["key"], mine["id"], "me")
    assert bench.ask(asked("you"), 0) == mine
    bench.acknowledge(mine["key"], mine["id"], "you")
    assert bench.kept == 0 and len(counting.measured) == 1
    bench.acknowledge(mine["key"], mine["id"], "you")
    turns.stop(10)


def test_what_was_asked_for_survives_the_agent(start: Start, asked: Ask, counting: Any) -> None:
    bench, _ = start()
    bench.ask(asked(content=b"first"), 0)
    bench.ask(asked(content=b"second"), 0)
    bench, turns = start()
    assert bench.needed() == {asked(content=b"first").artifact.sha256, asked(content=b"second").artifact.sha256}
    turns.start()
    done = bench.ask(asked(content=b"second"), 20)
    assert done["state"] == "done"
    turns.stop(10)
    bench, _ = start()
    assert bench.ask(asked("another", b"second"), 0) == done
    assert len(counting.measured) == 2


def test_an_agent_with_a_full_queue_can_be_started_anew(start: Start, asked: Ask, counting: Any) -> None:
    counting.go_on.clear()
    bench, turns = start(waiting=2)
    turns.start()
    bench.ask(asked(content=b"running"), 0)
    counting.begun.wait(60)
    for content in (b"first", b"second"):
        bench.ask(asked(content=content), 0)
    bench, again = start(waiting=2)
    counting.go_on.set()
    turns.stop(60)
    again.start()
    for content in (b"running", b"first", b"second"):
        assert bench.ask(asked(content=content), 20)["state"] == "done"
    again.stop(10)


def test_a_result_says_how_long_it_waited(
    start: Start, asked: Ask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = 100.0
    bench, turns = start()
    turns.start()
    assert bench.ask(asked(), 20)["age_s"] == 0.0
    clock.now = 130.5
    assert bench.ask(asked(), 0)["age_s"] == 30.5
    turns.stop(10)
    clock.now = 140.0
    assert start()[0].ask(asked(), 0)["age_s"] == 40.0  # by the clock of the machine, which went on
    monkeypatch.setattr("devices.agent.bench.boot", lambda: "another")
    assert start()[0].ask(asked(), 0)["age_s"] is None


def test_refusals(start: Start, asked: Ask, model: Callable[..., Artifact], settings: MeasureSettings) -> None:
    bench, _ = start(waiting=1)
    for request, code in (
        (MeasureRequest("me", "gpu", model(), settings), "unknown_device"),
        (MeasureRequest("me", "cpu", model(b"never sent"), settings), "artifact_missing"),
    ):
        with pytest.raises(RefusedError) as refused:
            bench.ask(request, 0)
        assert refused.value.code == code
    bench.ask(asked(), 0)
    with pytest.raises(RefusedError, match="wait already"):
        bench.ask(asked(content=b"one more"), 0)
    assert bench.needed() == {asked().artifact.sha256}
    bench.stop()
    for content in (b"model", b"other"):
        with pytest.raises(RefusedError, match="being stopped"):
            bench.ask(asked(content=content), 20)


def test_results_that_nobody_fetches_do_not_pile_up(start: Start, asked: Ask, clock: Clock) -> None:
    bench, turns = start(results=2, lease_s=1.0)
    turns.start()
    for i in range(5):
        assert bench.ask(asked(content=bytes([i])), 20)["state"] == "done"
        clock.now += 2.0
    assert bench.kept <= 3
    turns.stop(10)


def test_a_journal_belongs_to_one_agent_and_damage_is_told(tmp_path: Path) -> None:
    held = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(DeviceError, match="another agent is using"):
        Journal(tmp_path / "journal.sqlite")
    held.close()
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(DeviceError, match="damaged"):
        Journal(tmp_path / "journal.sqlite")
    with pytest.raises(DeviceError, match="cannot open the journal"):
        Journal(tmp_path / "missing" / "journal.sqlite")


def test_rows_that_an_earlier_version_wrote_are_dropped(start: Start, tmp_path: Path, log: list[str]) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.write(Entry("0" * 64, "id", "queued", 0, '{"version": 0}', None))
    journal.write(Entry("1" * 64, "id", "done", 0, "no JSON", "{}"))
    journal.close()
    bench, _ = start()
    assert bench.kept == 0 and bench.needed() == set()
    assert len(log) == 2 and "earlier version" in log[0]
