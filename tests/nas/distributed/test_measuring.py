"""Campaigns on units that are lost on the way, without Ray."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import Artifact, DeviceInfo, FakeDevice, Measurement, MeasureSettings, Workload
from nas.campaign import Pair
from nas.config import UnitSection
from nas.distributed import measuring
from nas.distributed.lease import Lease
from nas.distributed.measuring import PARTS, parts
from nas.distributed.pool import PooledDevice
from nas.distributed.sharing import LostError, UnfitError, share_out
from nas.errors import NasError
from nas.ledger import Ledger
from nas.stages.measuring import Measured, OnVisit, run_campaign
from nas.stages.targets import Target
from nas.visits import Visit, moment

SETTINGS = MeasureSettings(min_count=20)
KEYS = [f"network{i:02d}" for i in range(40)]
ORDERS: list[list[Pair]] = [[(key, "chip") for key in KEYS], [(key, "chip") for key in reversed(KEYS)]]
Files = dict[str, dict[tuple[str, str], Artifact]]


class Unit(Lease):
    """In the place of a lease; is lost after so many measurements, each time.

    Args:
        name: of the unit.
        lives: measurements until it is lost, one number for each life; after these it lives on.
        back: whether it is back after the last loss.
        kind: of the device.
        deadly: digests of files that bring it down; it takes two questions until it has started again.
    """

    def __init__(
        self,
        name: str,
        lives: Sequence[int] = (),
        *,
        back: bool = True,
        kind: str = "simulated",
        deadly: Collection[str] = (),
    ) -> None:
        self.name = name
        self.lives, self.back, self.kind, self.deadly = list(lives), back, kind, deadly
        self.gone = False
        self.starting = self.felled = 0
        self.asked: list[tuple[str, str]] = []
        self._closed = threading.Event()

    def check(self) -> None:
        if self.starting:
            self.starting -= 1
            raise LostError("the board is starting")
        if self.gone:
            raise LostError("the board has no power")

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        assert not self.starting
        if artifact.sha256 in self.deadly:
            self.starting = 2
            self.felled += 1
            raise LostError("the board hangs")
        if self.lives and self.lives[0] == 0:
            self.lives.pop(0)
            self.gone = not (self.lives or self.back)
            raise LostError("the board has no power")
        if self.lives:
            self.lives[0] -= 1
        self.asked.append((artifact.sha256, settings.key))
        made = FakeDevice().measure(artifact, settings)
        return made if self.kind == "simulated" else replace(made, environment=(("cpu", "made up"),))

    def close(self) -> None:
        pass


class Dead(Unit):
    """Does not start again by itself."""

    def check(self) -> None:
        if self.felled:
            raise LostError("the board hangs")


class Pool(PooledDevice):
    """Of such units."""

    def __init__(self, units: Sequence[Unit], note: Callable[[str], None] = print) -> None:
        super().__init__("fake", {}, [UnitSection(name=unit.name) for unit in units], note)
        self.units = units
        self._leases = list(units)

    def info(self) -> DeviceInfo:
        return replace(super().info(), kind=self.units[0].kind)  # type: ignore[arg-type]

    def leases(self) -> Sequence[Lease]:
        return self.units

    def connect(self) -> None:
        pass


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found: Files = {}
    for number, key in enumerate(KEYS, 1):
        path = tmp_path / f"{key}.onnx"
        path.write_bytes(key.encode())
        work = Workload(1_000_000 * number, 1000, 1000)
        artifact = Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)
        found[key] = {("onnx", "float32"): artifact}
    return found


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that was lost is back at once."""
    monkeypatch.setattr(measuring, "share_out", partial(share_out, retry_s=0.001))


def run(
    place: Path, device: PooledDevice | FakeDevice, files: Files, on_visit: OnVisit = lambda _pair, _visit: None
) -> Measured:
    target = Target("chip", device, "onnx", "float32", SETTINGS)
    with Ledger(f"sqlite:///{place / 'ledger.sqlite'}") as ledger:
        return run_campaign(
            ledger,
            [target],
            files,
            ORDERS,
            sentinels=place / "sentinel",
            on_visit=on_visit,  # type: ignore[arg-type]
        )


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


@given(count=st.integers(0, 60), units=st.integers(1, 5))
def test_parts_hold_every_pair_of_every_pass_once_in_its_order(count: int, units: int) -> None:
    first: list[Pair] = [(f"n{i}", "chip") for i in range(count)]
    second = list(reversed(first))
    found = parts([first, second], units)
    assert [pair for part in found for pair in part[0]] == first
    for part in found:
        assert set(part[1]) == set(part[0]) and part[1] == [pair for pair in second if pair in part[0]]
    assert len(found) <= (PARTS * units if units > 1 else 1)


@pytest.mark.parametrize("lives", [[[], []], [[3], []], [[0, 0, 5], [30]], [[17], [1, 1, 1]]])
def test_whoever_is_lost_it_comes_to_what_one_device_comes_to(
    lives: list[list[int]], files: Files, tmp_path: Path
) -> None:
    alone = run(folder(tmp_path, "alone"), FakeDevice(), files)
    # The last one is safe, and may be away when the others are lost.
    units = [*(Unit(f"unit{i}", fate) for i, fate in enumerate(lives)), Unit("safe")]
    firsts = Counter[Pair]()

    def tell(pair: Pair, visit: object) -> None:
        firsts[pair] += 1

    place = folder(tmp_path, "pool")
    shared = run(place, Pool(units), files, tell)
    assert shared == alone
    asked = Counter(one for unit in units for one in unit.asked)
    assert len(asked) == 2 * len(KEYS) and set(asked.values()) == {1}
    assert firsts == {(key, "chip"): 2 for key in KEYS}
    with Ledger(f"sqlite:///{place / 'ledger.sqlite'}") as ledger:
        assert len(ledger.measurements()) == 3 * len(KEYS)


def test_where_no_unit_is_left_the_same_command_goes_on_later(files: Files, tmp_path: Path) -> None:
    place, lost = folder(tmp_path, "pool"), [Unit("a", [9], back=False), Unit("b", [14], back=False)]
    with pytest.raises(NasError, match=r"no unit is left .* no power.* run the same command"):
        run(place, Pool(lost), files)
    again = [Unit("a"), Unit("c")]
    made = run(place, Pool(again), files)
    asked = Counter(one for unit in (*lost, *again) for one in unit.asked)
    assert len(asked) == 2 * len(KEYS) and set(asked.values()) == {1}
    assert made == run(folder(tmp_path, "alone"), FakeDevice(), files)


def test_every_unit_has_a_sentinel_of_its_own_also_those_of_an_earlier_run(files: Files, tmp_path: Path) -> None:
    place = folder(tmp_path, "pool")
    # 20 and 26: whichever takes over what the other was at is not lost over the same network.
    units = [Unit(name, [lives], back=False, kind="cpu") for name, lives in (("a", 20), ("b", 26))]
    with pytest.raises(NasError, match="no unit is left"):
        run(place, Pool(units), files)
    made = run(place, Pool([Unit("a", [0], back=False, kind="cpu"), Unit("b", kind="cpu")]), files)
    with Ledger(f"sqlite:///{place / 'ledger.sqlite'}") as ledger:
        key = replace(FakeDevice().info(), kind="cpu").key
        sentinels = {name: ledger.measurements(f"{key}@{name}") for name in ("a", "b")}
    assert all({moment(m)[0].rpartition("@")[2] for m in kept} == {name} for name, kept in sentinels.items())
    assert made.quality["chip"]["sentinels"] == sum(map(len, sentinels.values())) >= 8
    assert all(m.drift is not None for m in made.measurements.values())
    # All is in the ledger by now: nobody is asked, and the same is found.
    nobody = [Unit("a", kind="cpu"), Unit("b", kind="cpu")]
    assert run(place, Pool(nobody), files) == made
    assert nobody[0].asked == nobody[1].asked == []


@pytest.mark.parametrize("units", [1, 2, 5])
def test_a_model_that_takes_units_down_fails_and_the_others_are_measured(
    units: int, files: Files, tmp_path: Path
) -> None:
    alone = run(folder(tmp_path, "alone"), FakeDevice(), files)
    place, bad = folder(tmp_path, "pool"), KEYS[11]
    deadly = [artifact.sha256 for artifact in files[bad].values()]
    pool = [Unit(f"unit{i}", deadly=deadly) for i in range(units)]
    told: list[str] = []

    def tell(pair: Pair, visit: Visit | None) -> None:
        if visit is not None and visit.measurement.error is not None:
            told.append(f"{pair[0]}: {visit.measurement.error}")

    shared = run(place, Pool(pool), files, tell)
    losses = sum(unit.felled for unit in pool)
    # One unit three times, or two of which the first may have met it twice.
    assert losses == 3 or (losses == 2 and sum(unit.felled > 0 for unit in pool) == 2)
    made = {pair[0]: measurement for pair, measurement in shared.measurements.items()}
    error = str(made.pop(bad).error)
    assert error.startswith(f"{losses} times a unit was lost over this model (unit")
    assert error.count("the board hangs") == losses and error.endswith("; it is not tried again")
    assert told == [f"{bad}: {error}"]
    assert made == {pair[0]: found for pair, found in alone.measurements.items() if pair[0] != bad}
    # Failure is data: neither a later stage nor another command tries it again.
    again = [Unit("unit0", deadly=deadly), Unit("unit9", deadly=deadly)]
    assert run(place, Pool(again), files) == shared
    assert again[0].felled == again[1].felled == 0 and again[0].asked == again[1].asked == []


def test_what_a_unit_was_lost_over_is_counted_also_by_the_next_command(files: Files, tmp_path: Path) -> None:
    place, bad = folder(tmp_path, "pool"), files[KEYS[0]]
    deadly = [artifact.sha256 for artifact in bad.values()]
    for name in ("a", "b"):
        with pytest.raises(NasError, match=rf"no unit is left .*{name}: the board hangs"):
            run(place, Pool([Dead(name, deadly=deadly)]), files)
    last = Dead("c", deadly=deadly)
    made = run(place, Pool([last]), files)
    assert last.felled == 0 and len(last.asked) == 2 * (len(KEYS) - 1)
    assert "(a: the board hangs; b: the board hangs)" in str(made.measurements[KEYS[0], "chip"].error)


def test_a_model_that_was_lost_with_one_unit_is_measured_by_the_next(files: Files, tmp_path: Path) -> None:
    place = folder(tmp_path, "pool")
    deadly = [artifact.sha256 for artifact in files[KEYS[0]].values()]
    weak = Dead("weak", deadly=deadly)

    class Late(Unit):
        def check(self) -> None:
            if not weak.felled:
                raise LostError("the board is starting")

    made = run(place, Pool([weak, Late("strong")]), files)
    assert weak.felled == 1
    assert made == run(folder(tmp_path, "alone"), FakeDevice(), files)


def test_one_question_costs_no_more_than_two_units(files: Files) -> None:
    (artifact,) = files[KEYS[0]].values()
    units = [Unit(name, deadly=[artifact.sha256]) for name in ("a", "b", "c")]
    made = Pool(units).measure(artifact, SETTINGS)
    assert made.error == "2 times a unit was lost over this model (a: the board hangs; b: the board hangs)"
    assert [unit.felled for unit in units] == [1, 1, 0]


def test_a_unit_that_was_given_back_speaks_against_no_model(files: Files, tmp_path: Path) -> None:
    unit = Unit("a", deadly=[artifact.sha256 for artifact in files[KEYS[0]].values()])
    unit._closed.set()
    place = folder(tmp_path, "pool")
    with pytest.raises(NasError, match="no unit is left"):
        run(place, Pool([unit]), files)
    with Ledger(f"sqlite:///{place / 'ledger.sqlite'}") as ledger:
        assert ledger.measurements() == []


def test_a_unit_that_cannot_even_try_speaks_against_no_model(files: Files, tmp_path: Path) -> None:
    class Full(Unit):
        def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
            raise UnfitError("the disk is full")

    place, (artifact,) = folder(tmp_path, "pool"), files[KEYS[0]].values()
    with pytest.raises(NasError, match=r"no unit is left .* the disk is full"):
        run(place, Pool([Full("a"), Full("b"), Full("c")]), files)
    with Ledger(f"sqlite:///{place / 'ledger.sqlite'}") as ledger:
        assert ledger.measurements() == []
    assert Pool([Full("a"), Full("b"), Unit("c")]).measure(artifact, SETTINGS).ok
