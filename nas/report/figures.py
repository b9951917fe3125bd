"""The report's charts, made from its values. Milliseconds and percent here: this is where people read."""

from __future__ import annotations

from collections.abc import Sequence

from nas.fleet import FLEET, fleet_latency
from nas.report.chart import Axis, Chart, Point, Series
from nas.report.values import Latency, Member, RunData, Scores, Target

ACCURACY = Axis("Accuracy (%)")


def front_chart(run: RunData, target: Target) -> Chart | None:
    """Accuracy over latency on one target: every candidate, the chosen ones as predicted, and as measured."""
    cloud = [
        Point(1e3 * c.latency_s[target.name], 100 * c.accuracy) for c in run.searched if target.name in c.latency_s
    ]
    members = [(m, m.latency(target.name)) for m in run.members if m.validation_on(target) is not None]
    dots = [_measured(m, x, target) for m, x in members if x.median_s is not None and m.on_front]
    crosses = [_measured(m, x, target) for m, x in members if x.median_s is not None and not m.on_front]
    rings = [_predicted(m, x) for m, x in members if x.predicted_s is not None and m.accuracy is not None]
    if not cloud and not dots:
        return None
    links = [p for ring in rings for dot in dots + crosses if dot.key == ring.key for p in (ring, dot)]
    searched = "Searched, latency " + (" or ".join(sorted({c.source for c in run.searched})) or "predicted")
    limit = run.limits.get(target.name)
    series = (
        Series(searched, "cloud", tuple(cloud), colour=4),
        Series("", "link", tuple(links), colour=0),
        Series("Chosen, predicted", "ring", tuple(rings), colour=1),
        Series("Measured, beaten by another", "cross", tuple(crosses), colour=4),
        Series("Measured front", "dot", tuple(sorted(dots, key=lambda p: p.x)), colour=0),
    )
    return Chart(
        name=f"front-{target.name}",
        title=f"{target.name}: {target.file} on {target.device}{', simulated' if target.simulated else ''}",
        x=Axis("Latency, median of one image (ms)", log=True),
        y=ACCURACY,
        series=tuple(s for s in series if s.points),
        caption="Accuracy on validation images: of a measured point that of the file, as its runtime computes it; of "
        "the others that of the sub-network inside the supernet. The whisker reaches to the 90th percentile.",
        x_limit=None if limit is None else 1e3 * limit,
    )


def _measured(member: Member, latency: Latency, target: Target) -> Point:
    accuracy, median = member.validation_on(target), latency.median_s
    assert accuracy is not None and median is not None  # noqa: S101 (the caller chose such members)
    tail = "" if latency.p90_s is None else f", 90th percentile {ms(latency.p90_s)} ms"
    label = f"{member.name}\n{100 * accuracy:.1f} % accuracy\n{ms(median)} ms measured{tail}"
    high = None if latency.p90_s is None else 1e3 * latency.p90_s
    return Point(1e3 * median, 100 * accuracy, label, member.key, high)


def _predicted(member: Member, latency: Latency) -> Point:
    accuracy, predicted = member.accuracy, latency.predicted_s
    assert accuracy is not None and predicted is not None  # noqa: S101 (the caller chose such members)
    label = f"{member.name}\n{100 * accuracy:.1f} % accuracy in the supernet\n{ms(predicted)} ms predicted"
    return Point(1e3 * predicted, 100 * accuracy, label, member.key)


def fleet_chart(run: RunData) -> Chart | None:
    """Accuracy over the latency that one network has over the whole fleet; None where there is no fleet."""
    if run.fleet is None or not run.shared:
        return None
    weights, how = run.fleet.weights, run.fleet.how
    cloud = [
        Point(1e3 * fleet_latency(c.latency_s, weights, how), 100 * c.accuracy)
        for c in run.searched
        if weights.keys() <= c.latency_s.keys()
    ]
    points = {
        one.key: Point(
            1e3 * one.fleet_s,
            100 * one.accuracy,
            f"{one.name}\n{100 * one.accuracy:.1f} % accuracy\n{ms(one.fleet_s)} ms over the fleet",
            one.key,
        )
        for one in run.shared
        if one.fleet_s is not None
    }
    best = [points[one.key] for one in run.shared if FLEET in one.fronts]
    others = [points[one.key] for one in run.shared if FLEET not in one.fronts]
    series = (
        Series("Searched", "cloud", tuple(cloud), colour=4),
        Series("Measured, not on this front", "cross", tuple(others), colour=4),
        Series("Measured front of single networks", "dot", tuple(sorted(best, key=lambda p: p.x)), colour=0),
    )
    told = ", ".join(f"{name} × {weight:g}" for name, weight in weights.items())
    return Chart(
        name=f"front-{FLEET}",
        title=f"One network for all targets: {how} weighted latency",
        x=Axis("Latency over the fleet (ms)", log=True),
        y=ACCURACY,
        series=tuple(s for s in series if s.points),
        caption=f"Weights: {told}. Accuracy on validation images: of a measured network that of its least accurate "
        "file; limits hold on every target.",
    )


def scatter_chart(scores: Scores) -> Chart | None:
    """Predicted over measured latency of the held-out networks of one predictor."""
    if not scores.pairs:
        return None
    points = tuple(
        Point(1e3 * measured, 1e3 * predicted, f"{ms(measured)} ms measured\n{ms(predicted)} ms predicted")
        for measured, predicted in scores.pairs
    )
    parts = [f"{scores.count or len(points)} networks that the predictor had not seen"]
    if scores.spearman is not None:
        parts.append(f"Spearman ρ {scores.spearman:.3f}")
    if scores.mae_s is not None:
        parts.append(f"mean error {ms(scores.mae_s)} ms")
    return Chart(
        name=f"predictor-{scores.target}",
        title=f"{scores.target}: {scores.name}",
        x=Axis("Measured latency (ms)"),
        y=Axis("Predicted latency (ms)"),
        series=(Series("Held-out network", "dot", points, colour=2),),
        caption="; ".join(parts) + ". On the dashed line a prediction is exact.",
        diagonal=True,
    )


def training_charts(run: RunData) -> tuple[Chart, ...]:
    """Accuracy of the largest and the smallest network, and the loss, over the epochs."""
    largest = _accuracies([(e.epoch, e.largest) for e in run.epochs])
    smallest = _accuracies([(e.epoch, e.smallest) for e in run.epochs])
    losses = [(e.epoch, e.loss) for e in run.epochs if e.loss is not None]
    loss = tuple(Point(epoch, value, f"epoch {epoch}\nloss {value:.4g}") for epoch, value in losses)
    charts = (
        Chart(
            name="training-accuracy",
            title="Accuracy while training",
            x=Axis("Epoch", whole=True),
            y=ACCURACY,
            series=(
                Series("Largest network", "line", largest, colour=0),
                Series("Smallest network", "line", smallest, colour=1),
            ),
            caption="On validation images, which no network is trained on.",
        ),
        Chart(
            name="training-loss",
            title="Loss while training",
            x=Axis("Epoch", whole=True),
            y=Axis("Loss"),
            series=(Series("Training loss", "line", loss, colour=3),),
            caption="Of the largest network, in the last step of each epoch.",
        ),
    )
    return tuple(chart for chart in charts if chart.points)


def _accuracies(rows: Sequence[tuple[int, float | None]]) -> tuple[Point, ...]:
    known = [(epoch, 100 * accuracy) for epoch, accuracy in rows if accuracy is not None]
    return tuple(Point(epoch, percent, f"epoch {epoch}\n{percent:.1f} % accuracy") for epoch, percent in known)


def ms(seconds: float) -> str:
    """Seconds as milliseconds with three significant digits."""
    value = 1e3 * seconds
    decimals = next((n for n, least in enumerate((100, 10, 1, 0.1)) if value >= least), 4)
    return f"{value:.{decimals}f}"
