"""Makes the page: one HTML file that needs nothing else, whoever opens it and wherever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nas.report import figures
from nas.report.chart import Chart
from nas.report.svg import legend, svg
from nas.report.values import Latency, Member, RunData, Target


@dataclass(frozen=True)
class Figure:
    """One large number at the top of the page."""

    label: str
    value: str
    note: str = ""


def charts(run: RunData) -> Mapping[str, tuple[Chart, ...]]:
    """Every chart of the report by its section."""
    fronts = [*(figures.front_chart(run, target) for target in run.targets), figures.fleet_chart(run)]
    scatters = [figures.scatter_chart(scores) for scores in run.scores if scores.pairs]
    return {
        "fronts": tuple(chart for chart in fronts if chart),
        "scatters": tuple(chart for chart in scatters if chart),
        "training": figures.training_charts(run),
    }


def render(run: RunData, drawn: Mapping[str, tuple[Chart, ...]]) -> str:
    """The page's HTML. Every text of the run is escaped; style and script are the package's own files."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "svg": svg,
        "legend": legend,
        "ms": lambda seconds: _or_dash(seconds, figures.ms),
        "accuracy_on": _accuracy,
        "percent": lambda share: _or_dash(share, _percent),
        "millions": lambda count: _or_dash(count, lambda value: f"{value / 1e6:.2f}"),
        "thousands": lambda count: _or_dash(count, lambda value: f"{value / 1e3:.0f}"),
        "kilobytes": lambda count: _or_dash(count, lambda value: f"{value / 1e3:.1f}"),
        "decimals": lambda number, digits: _or_dash(number, lambda value: f"{value:.{digits}f}"),
    }
    folder = files("nas.report")
    template = environment.from_string(folder.joinpath("page.html").read_text(encoding="utf-8"))
    css, js = (Markup(folder.joinpath(name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))  # noqa: S704
    page = {**vars(run), **drawn, "version": metadata.version("hwnas"), "figures": headline(run), **_texts(run)}
    page["predictors"] = run.scores
    known = [target for target in run.targets if target.environment]
    page["environments"] = [{"title": f"{t.name}: {t.device}", "pairs": t.environment} for t in known]
    return template.render(page=page, css=css, js=js) + "\n"


def headline(run: RunData) -> tuple[Figure, ...]:
    """The numbers that a reader looks for first."""
    front = [member for member in run.members if member.on_front]
    result = []
    if front:
        result.append(Figure("Networks on the measured front", str(len(front))))
        best = [
            (validated, judged, member.name)
            for member in front
            for target in run.targets
            if (validated := member.validation_on(target)) is not None
            and (judged := _accuracy(member, target)) is not None
        ]
        if best:
            # Chosen as a user would choose it; the best of many by test images would be the luckiest on them.
            _, judged, name = max(best, key=lambda found: found[0])
            title = f"Most accurate file by validation images, on {_images(run)} images"
            result.append(Figure(title, f"{100 * judged:.1f} %", name))
    for target in run.targets:
        fastest = _fastest(front, target.name)
        if fastest is not None:
            seconds, member = fastest
            judged = _accuracy(member, target)
            note = member.name if judged is None else f"{member.name}, {100 * judged:.1f} % accurate"
            result.append(Figure(f"Fastest on {target.name}", f"{figures.ms(seconds)} ms", note))
    if run.searched:
        result.append(Figure("Candidates judged", f"{len(run.searched):,}"))
    if run.measurements:
        result.append(Figure("Files measured", f"{run.measurements:,}"))
    return tuple(result)


def _accuracy(member: Member, target: Target) -> float | None:
    """Accuracy of the file on test images, which nothing was chosen by; before the export on validation images."""
    test = member.test_on(target)
    return member.validation_on(target) if test is None else test


def _images(run: RunData) -> str:
    tested = any(member.test_on(target) is not None for member in run.members for target in run.targets)
    return "test" if tested else "validation"


def _fastest(front: list[Member], target: str) -> tuple[float, Member] | None:
    known = [(latency.median_s, m) for m in front if (latency := m.latency(target)).median_s is not None]
    timed = [(seconds, member) for seconds, member in known if seconds is not None]
    return min(timed, key=lambda pair: pair[0]) if timed else None


def _texts(run: RunData) -> dict[str, Any]:
    """The sentences above the sections, with this run's numbers in them."""
    confirmed = any(latency.median_s is not None for m in run.members for latency in m.latencies.values())
    front = (
        "Higher is more accurate, further left is faster. Filled points were timed on the device; a thin line leads "
        "from where the search expected each of them. Point at one to see which it is."
        if confirmed
        else "Higher is more accurate, further left is faster. Nothing here has been confirmed by measuring yet: "
        "that is what `nas confirm RUN_DIR` does."
    )
    simulated = [target.name for target in run.targets if target.simulated]
    if simulated:
        front += f" Latencies on {' and '.join(simulated)} are simulated: nothing was timed there."
    errors = sorted(_gap(latency) for m in run.members for latency in m.latencies.values() if _both(latency))
    middle = f" The median error of the predictions below is {100 * errors[len(errors) // 2]:.2g} %." if errors else ""
    tried = dict.fromkeys(scores.target for scores in run.scores)
    lost = [target for target in tried if not any(s.used for s in run.scores if s.target == target)]
    return {
        "front_text": front,
        "members_text": "Each was built, measured on every target and judged as the file that is shipped. Accuracy is "
        f"that of the file which the target runs, on {_images(run)} images"
        + (", which neither training nor search has seen." if _images(run) == "test" else ".")
        + middle
        if confirmed
        else "These are the search's choices; nothing was measured yet.",
        "shared_text": "Every network that was measured on all targets. A figure is bold where no other network beats "
        "it on that target alone, with that target's limits"
        + (
            "; in the last column, where none beats it as the one network for all, with every limit. "
            f"There the latency is the {run.fleet.how} weighted one."
            if run.fleet
            else "."
        ),
        "rounds_text": "An interval should hold nine in ten networks, by the predictor's errors on those it was "
        "checked on; differences below 5 % count as none, so much a device differs from itself. Where measurements "
        "contradict what was predicted, the predictors learn from them and the search goes on."
        + (f" Confirming ended because {run.stopped}." if run.stopped else ""),
        "predictors_text": "Each was scored on networks that it was not fitted to. The best of a target is used in the "
        "search if it passes its check."
        + (f" On {' and '.join(lost)} none passed: candidates were measured there instead." if lost else ""),
        "training_text": "One supernet holds the weights of every candidate. Shown are its two extremes.",
        "problems_text": "Nothing failed and nothing was dropped."
        if run.members or run.measurements
        else "Nothing has been measured yet.",
    }


def _both(latency: Latency) -> bool:
    return bool(latency.median_s) and latency.predicted_s is not None


def _gap(latency: Latency) -> float:
    assert latency.median_s and latency.predicted_s is not None  # noqa: S101 (checked by _both)
    return abs(latency.predicted_s / latency.median_s - 1)


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:.1f}"  # adding zero takes the sign from what rounds to it


def _or_dash(value: Any, text: Any) -> str:  # noqa: ANN401 (a filter takes what the template gives)
    return "–" if value is None else str(text(value))
