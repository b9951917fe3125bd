"""Search on NAS-Bench-201: true accuracies, true latencies of 27 devices, and so a front that is known.

Everybody searches the 15,625 cells as published, six decisions of five operations, and is judged by the share of the
true hypervolume after a number of different networks evaluated. The reference point is the worst of the true front in
either objective, and a tenth of the front's range beyond it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, Claim, arguments, write_results
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.candidate import Candidate, Metric
from nas.dominance import non_dominated
from nas.objective import Objective, Problem, Scores
from nas.pareto import hypervolume
from nas.search import Exploration, get_searcher
from nas.search.resumable import ResumableSearcher
from search_spaces import Architecture, Decision, Network, SearchSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("latency_s.device", "minimize"))
BUDGETS = (100, 200, 500, 1000)
TUNED_ON = ("1080ti_1", "silver_4114", "samsung_a50")
"""The devices that settings were chosen on; the others were looked at only by this script."""
OPTUNA_DEVICES = ("1080ti_1", "gold_6226", "fpga", "raspi4")
GP_EVALUATIONS = 100
EDGES, OPERATIONS = 6, 5


class Cells(SearchSpace):
    """Every cell as published: cells that are one network were trained and timed apart, and stay apart."""

    @property
    def name(self) -> str:
        """Name of the table."""
        return "nasbench201_cells"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The operation of every edge."""
        return tuple(Decision(f"edge.{edge}", ("none", "skip", "conv1", "conv3", "pool")) for edge in range(EDGES))

    def lower(self, arch: Architecture) -> Network:
        """There is none."""
        raise NotImplementedError("a table is searched here, not networks")


SPACE = Cells()
PLACES = OPERATIONS ** np.arange(EDGES - 1, -1, -1)
Judge = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Costs, shape ``(cells, 2)``, of rows of operations."""


class Table:
    """Costs of every cell on a device, and the share of the true hypervolume that some of them make."""

    def __init__(self, accuracy: NDArray[np.float64], latency_s: NDArray[np.float64]) -> None:
        self.costs = np.stack([-accuracy, latency_s], axis=1)
        front = self.costs[non_dominated(self.costs)]
        self.corner = front.max(axis=0) + 0.1 * np.ptp(front, axis=0)
        self.whole = hypervolume(front, self.corner)

    def judge(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Costs of rows of operations."""
        return self.costs[rows @ PLACES]

    def shares(self, costs: NDArray[np.float64]) -> list[float]:
        """Share of the true hypervolume after each budget."""
        shares = []
        for budget in BUDGETS:
            some = costs[:budget]
            shares.append(hypervolume(some[non_dominated(some)], self.corner) / self.whole)
        return shares


def load(path: Path, accuracies: str) -> dict[str, Table]:
    """A table for every device."""
    with np.load(path) as stored:
        column = stored["acc_dataset"].tolist().index(accuracies)
        numbers = stored["op_idx"].astype(np.int64) @ PLACES
        order = np.argsort(numbers)
        if not (numbers[order] == np.arange(OPERATIONS**EDGES)).all():
            raise SystemExit(f"{path.name} does not list every cell once")
        accuracy = stored["acc_test_200ep"][order, column].astype(np.float64) / 100
        latencies = stored["latency_ms"][order].astype(np.float64) * 1e-3
        return {name: Table(accuracy, latencies[:, at]) for at, name in enumerate(stored["device"].tolist())}


def ours(strategy: str, judge: Judge, seed: int, **options: object) -> NDArray[np.float64]:
    """One of our own strategies; a batch is a tenth of what is known, 10 at least."""
    searcher = get_searcher(strategy, SPACE, OBJECTIVES, rng=np.random.default_rng(seed), options=options)
    assert isinstance(searcher, ResumableSearcher)
    exploration = Exploration(searcher, Problem(OBJECTIVES), lambda rows: Scores(judge(rows), np.empty((len(rows), 0))))
    judged = 0
    while judged < BUDGETS[-1]:
        count = min(max(10, judged // 10), BUDGETS[-1] - judged)
        exploration.run(count, count)
        judged += count
    return exploration.scores.costs


def pymoo(judge: Judge, seed: int, population: int = 40) -> NDArray[np.float64]:
    """Pymoo's NSGA-II on integers; cells that it evaluates again cost it nothing."""
    from pymoo.algorithms.moo.nsga2 import NSGA2  # noqa: PLC0415 (a peer, needed nowhere else)
    from pymoo.core.problem import Problem as PymooProblem  # noqa: PLC0415
    from pymoo.operators.crossover.sbx import SBX  # noqa: PLC0415
    from pymoo.operators.mutation.pm import PM  # noqa: PLC0415
    from pymoo.operators.repair.rounding import RoundingRepair  # noqa: PLC0415
    from pymoo.operators.sampling.rnd import IntegerRandomSampling  # noqa: PLC0415
    from pymoo.optimize import minimize  # noqa: PLC0415

    found: dict[int, NDArray[np.float64]] = {}

    class CellsProblem(PymooProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=EDGES, n_obj=2, xl=0, xu=OPERATIONS - 1, vtype=int)

        def _evaluate(self, x: object, out: dict[str, Any], *_: object, **__: object) -> None:
            rows = np.asarray(x, np.int64)
            out["F"] = judge(rows)
            for number, costs in zip((rows @ PLACES).tolist(), out["F"], strict=True):
                found.setdefault(number, costs)

    integer = {"prob": 1.0, "eta": 3.0, "vtype": float, "repair": RoundingRepair()}
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(**integer),
        mutation=PM(**integer),
        eliminate_duplicates=True,
    )
    minimize(CellsProblem(), algorithm, ("n_eval", 2 * BUDGETS[-1]), seed=seed, verbose=False)
    return np.array(list(found.values()))[: BUDGETS[-1]]


def optuna(sampler: str, judge: Judge, seed: int, evaluations: int) -> NDArray[np.float64]:
    """One of Optuna's samplers, one network at a time; cells that it proposes again cost it nothing."""
    searcher = get_searcher("optuna", SPACE, OBJECTIVES, rng=np.random.default_rng(seed), options={"sampler": sampler})
    found: list[NDArray[np.float64]] = []
    while len(found) < evaluations:
        archs = searcher.ask(1)
        costs = judge(SPACE.indices(archs))[0]
        metrics = {
            "accuracy": Metric(-float(costs[0]), "1", "evaluated"),
            "latency_s.device": Metric(float(costs[1]), "s", "measured"),
        }
        searcher.tell([Candidate(archs[0], metrics)])
        found.append(costs)
    return np.array(found)


def strategies() -> dict[str, Callable[[Judge, int], NDArray[np.float64]]]:
    """Those that can be afforded on every device, by name."""
    return {
        "model_assisted": lambda judge, seed: ours("model_assisted", judge, seed, first=20),
        "evolution": lambda judge, seed: ours("evolution", judge, seed, population=20),
        "random": lambda judge, seed: ours("random", judge, seed),
        "regularized_evolution": lambda judge, seed: ours(
            "regularized_evolution", judge, seed, population=50, tournament=10
        ),
        "pymoo nsga2": pymoo,
    }


def slow_strategies(quick: bool) -> dict[str, Callable[[Judge, int], NDArray[np.float64]]]:
    """Optuna's samplers, on some devices and seeds only."""
    most = 100 if quick else BUDGETS[-1]
    return {
        "optuna nsgaii": lambda judge, seed: optuna("nsgaii", judge, seed, most),
        "optuna tpe": lambda judge, seed: optuna("tpe", judge, seed, most),
        "optuna gp": lambda judge, seed: optuna("gp", judge, seed, GP_EVALUATIONS // (4 if quick else 1)),
    }


def run(tables: Mapping[str, Table], seeds: int, quick: bool, optuna_seeds: int) -> list[dict[str, Any]]:
    """A row for every device, strategy and seed: shares by budget, as far as the strategy went."""
    rows: list[dict[str, Any]] = []
    for device, table in tables.items():
        started = time.process_time()
        for seed in range(seeds):
            todo = strategies()
            if device in OPTUNA_DEVICES and seed < (min(1, optuna_seeds) if quick else optuna_seeds):
                todo.update(slow_strategies(quick))
            for name, search in todo.items():
                start = time.process_time()
                costs = search(table.judge, seed)
                seconds = round(time.process_time() - start, 3)
                shares = [
                    share for budget, share in zip(BUDGETS, table.shares(costs), strict=True) if budget <= len(costs)
                ]
                rows.append({"device": device, "strategy": name, "seed": seed, "cpu_s": seconds, "shares": shares})
        print(f"{device}: {time.process_time() - started:.0f} s", flush=True)
    return rows


def mean_share(rows: Sequence[Mapping[str, Any]], strategy: str, at: int) -> tuple[float, float, int]:
    """Mean over devices and seeds, its spread over seeds, and the number of runs; NaN where there is none."""
    mine = [row for row in rows if row["strategy"] == strategy and len(row["shares"]) > at]
    by_seed: dict[int, list[float]] = {}
    for row in mine:
        by_seed.setdefault(row["seed"], []).append(row["shares"][at])
    means = [float(np.mean(values)) for values in by_seed.values()]
    return (float(np.mean(means)), float(np.std(means)), len(mine)) if means else (float("nan"), 0.0, 0)


def summary(rows: Sequence[Mapping[str, Any]], group: str) -> list[dict[str, Any]]:
    """Means by strategy, printed."""
    print(f"\n{group}: share of the true hypervolume after {', '.join(map(str, BUDGETS))} networks")
    means = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        found = [mean_share(rows, name, at) for at in range(len(BUDGETS))]
        seconds = float(np.mean([row["cpu_s"] for row in rows if row["strategy"] == name]))
        shares = [share for share, _, runs in found if runs]
        means.append({"group": group, "strategy": name, "runs": found[0][2], "shares": shares, "cpu_s": seconds})
        print(f"{name:24} {found[0][2]:4} runs  {'  '.join(f'{share:.2%}' for share in shares)}  {seconds:.2f} s")
    return means


def make_claims(rows: Sequence[Mapping[str, Any]], seeds: int) -> list[Claim]:
    """What was asked for, on devices that nothing was tuned on."""
    peers = {row["strategy"] for row in rows} - {"model_assisted", "evolution"}
    claims = []
    for at, budget in enumerate(BUDGETS):
        mine, spread, _ = mean_share(rows, "model_assisted", at)
        asked = {500: 0.99}.get(budget)
        if asked:
            claims.append(
                Claim(f"share of the true hypervolume after {budget}", mine, "", asked, "higher", seeds, spread)
            )
        # Each peer is compared on the devices and seeds that it was run on.
        for peer in sorted(peers):
            runs = {(row["device"], row["seed"]) for row in rows if row["strategy"] == peer and len(row["shares"]) > at}
            shared = [row for row in rows if (row["device"], row["seed"]) in runs]
            if shared:
                lead = mean_share(shared, "model_assisted", at)[0] - mean_share(shared, peer, at)[0]
                claims.append(Claim(f"lead over {peer} after {budget}", lead, "", 0.0, "higher", len(runs)))
    return claims


def main() -> None:
    data = Path(os.environ.get("HWNAS_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=data / "latency" / "nasbench201.npz", help="nasbench201.npz")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--optuna-seeds", type=int, default=2, help="Optuna's samplers are slow: seeds they can afford")
    parser.add_argument("--accuracies", default="cifar100", help="cifar10, cifar100 or ImageNet16-120")
    options = arguments(__file__, "Search on NAS-Bench-201, where the whole front is known", parser)
    path = options.extra.data
    if not path.is_file():
        print(f"skipped: {path.name} is not there; give its place with --data, or HWNAS_DATA")
        return
    tables = load(path, options.extra.accuracies)
    seeds = options.extra.seeds
    if options.quick:
        tables, seeds = {name: tables[name] for name in ("1080ti_1", "gold_6226")}, 2
    with threadpool_limits(1):
        rows = run(tables, seeds, options.quick, options.extra.optuna_seeds)
    unseen = [row for row in rows if row["device"] not in TUNED_ON]
    tuned = [row for row in rows if row["device"] in TUNED_ON]
    means = summary(tuned, "devices tuned on") + summary(unseen, "other devices")
    write_results(options, [*rows, *means], make_claims(unseen, seeds))


if __name__ == "__main__":
    main()
