"""Evaluations as one HTML page that stands alone: no script, no network, figures as SVG in the text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import gammaincinv

from engine.metrics import base as metrics
from engine.schema import Arrays, MetricValue, Report, WrongInput

Judged = tuple[Report, Arrays]

MOST = 6
"""Models on a page."""
COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#0072B2")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)))
SAME = ("data", "split", "convention", "reading", "threshold", "primaries", "seed")
"""What evaluations must share to stand beside each other."""
BINS = 24
TAIL = 0.158655
"""One side of a 68.27 % interval."""
HEADINGS = {
    "channels": "Read-out channels", "replicas": "Replicas of a particle", "shape": "Shape of showers",
    "features": "Distances in observables", "classifiers": "Classifiers", "pictures": "Pictures",
}  # fmt: skip
BETTER = {"lower": "lower is better", "higher": "higher is better", "one": "1 is ideal"}
LEGEND = (
    "Points: simulation with central 68 % Poisson intervals (Garwood). Lines: models, scaled to as many showers. What "
    "lies beyond an axis is counted in its last bin. Below: model over simulation; the band is the simulation's own "
    "error."
)
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr.floor td{color:#555;font-style:italic}
tr.head td{font-weight:600;border-bottom:2px solid #999;padding-top:.8rem}
.note{color:#555;font-size:.9rem}svg{max-width:100%;height:auto}code{background:#f3f3f3;padding:0 .25rem}
.wide{overflow-x:auto}table.text td,table.text th{text-align:left;white-space:normal;vertical-align:top}
"""


def page(judged: Sequence[Judged]) -> bytes:
    """One to six evaluations of the same primaries as UTF-8 HTML. Raises `WrongInput` for none, too many, or such as
    cannot be compared."""
    if not 1 <= len(judged) <= MOST:
        raise WrongInput(f"a report holds 1 to {MOST} evaluations, not {len(judged)}")
    reports = [report for report, _ in judged]
    for name in SAME:
        found = list(dict.fromkeys(str(getattr(report, name)) for report in reports))
        if len(found) > 1:
            raise WrongInput(f"these evaluations differ in {name} ({', '.join(found)}): judge all models alike")
    body = "\n".join(part for part in sections(judged) if part)
    title = escape(f"{', '.join(titles(reports))} on {reports[0].data}")
    head = f'<meta charset="utf-8"><title>Showerscope: {title}</title>'
    head += f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'.encode()


def sections(judged: Sequence[Judged]) -> Iterator[str]:
    reports = [report for report, _ in judged]
    first = reports[0]
    yield f"<h1>{escape(', '.join(titles(reports)))}</h1>"
    yield f"<p>{escape(said(first))}</p>"
    yield f"<h2>Models</h2>{models(reports)}"
    yield f"<h2>Metrics</h2>{table(reports)}"
    if first.data and "simulated" in judged[0][1].arrays:
        yield f"<h2>Channels, {escape(first.convention)} read-out</h2>{svg(channels(judged))}"
        yield f'<p class="note">{LEGEND}</p>'
    if any(report.parts for report in reports):
        yield f"<h2>By species, energy and channel</h2>{breakdown(reports)}"
    if any(report.calibration for report in reports):
        yield f"<h2>One factor for all light</h2>{calibration(reports)}"
    yield f"<h2>Definitions</h2>{definitions(reports)}"


# ---------------------------------------------------------------------------------------------------------------- text
def titles(reports: Sequence[Report]) -> list[str]:
    """Names that tell the models apart."""
    names = [report.name or report.run_id for report in reports]
    return [
        n if names.count(n) == 1 else f"{n} ({r.run_id}, step {r.step})" for n, r in zip(names, reports, strict=True)
    ]


def said(report: Report) -> str:
    """What was judged, and how."""
    channels = f", channels by the read-out convention {report.convention}" if report.parts else ""
    light = {
        "drawn": "whole photons drawn",
        "raw": "expected light",
        "truncated": "expected light, cut to whole photons",
    }
    least = f", primaries of {report.threshold} photons and more" if report.threshold else ""
    return (
        f"Simulation: {report.label}. {report.data}, {report.split} split: {report.showers} showers of "
        f"{report.primaries} primaries{least}; {report.replicas} generated for each, {light[report.reading]}, seed "
        f"{report.seed}{channels}. Showerscope {version('showerscope')}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    )


def rows(cells: Sequence[Sequence[str]], tag: str = "td", kind: str = "") -> str:
    head = f'<tr class="{kind}">' if kind else "<tr>"
    return "".join(head + "".join(f"<{tag}>{cell}</{tag}>" for cell in line) + "</tr>" for line in cells)


def models(reports: Sequence[Report]) -> str:
    """Which models, and what a shower costs."""
    batches = sorted({t.batch for report in reports for t in report.timing})
    head = ["model", "kind", "run", "step", "parameters", *(f"ms each, batch {b:,}" for b in batches)]
    lines = []
    for name, report in zip(titles(reports), reports, strict=True):
        times = {t.batch: f"{t.ms:.3g} ± {t.error:.2g}" for t in report.timing}
        known = [name, report.model, report.run_id, str(report.step), f"{report.parameters:,}"]
        lines.append([escape(cell) for cell in (*known, *(times.get(b, "–") for b in batches))])
    computed = {f"{r.device}, {r.threads} thread{'s' * (r.threads != 1)}" for r in reports if r.timing}
    note = f'<p class="note">Times on {escape(", ".join(sorted(computed)))}.</p>' if computed else ""
    return f'<div class="wide"><table>{rows([head], "th")}{rows(lines)}</table></div>{note}'


def table(reports: Sequence[Report]) -> str:
    """Metrics, a row each; the best in bold where it differs from the next beyond errors."""
    names = list(dict.fromkeys(name for report in reports for name in report.metrics))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(metrics.get(name).INFO.group, []).append(name)
    body = rows([["metric", *(escape(t) for t in titles(reports)), "simulation against simulation"]], "th")
    for group in sorted(groups, key=list(HEADINGS).index):
        body += rows([[HEADINGS[group], *([""] * (len(reports) + 1))]], kind="head")
        for name in groups[group]:
            info = metrics.get(name).INFO
            found = [report.metrics.get(name) for report in reports]
            shown = [both(value) for value in found]
            for place in best(found, info.direction):
                shown[place] = f"<b>{shown[place]}</b>"
            unit = f" [{escape(info.unit)}]" if info.unit else ""
            floor = next((value for value in found if value and value.floor is not None), None)
            own = f"{number(floor.floor or 0)} ± {floor.floor_error or 0:.2g}" if floor else "–"
            body += rows([[escape(info.title) + unit, *shown, own]])
    note = "± one standard deviation over primaries. Bold: better than every other model beyond both errors. "
    note += "A generator that returns the mean has an MAE below the floor: read it beside the spread of replicas."
    return f'<div class="wide"><table>{body}</table></div><p class="note">{note}</p>'


def best(values: Sequence[MetricValue | None], direction: str) -> list[int]:
    """The place of the value that is better than all others by more than √(e₁² + e₂²); none where none is."""
    score = {"lower": lambda v: v.value, "higher": lambda v: -v.value, "one": lambda v: abs(v.value - 1)}[direction]
    there = [(score(v), v.error, place) for place, v in enumerate(values) if v]
    if len(there) < 2:
        return []
    top, error, place = min(there)
    return [place] if all(s - top > np.hypot(e, error) for s, e, p in there if p != place) else []


def number(value: float) -> str:
    return f"{value:.4g}"


def both(value: MetricValue | None) -> str:
    return f"{number(value.value)} ± {value.error:.2g}" if value else "–"


def breakdown(reports: Sequence[Report]) -> str:
    """MAE and Wasserstein distance over their floors, and the spread, part by part."""
    parts = {(part.by, part.title): part.primaries for report in reports for part in report.parts}
    found = ""
    for name, words in (("mae", "MAE × floor"), ("wasserstein", "W₁ × floor"), ("spread", "spread of replicas")):
        body = rows([[words, "primaries", *(escape(title) for title in titles(reports))]], "th")
        for (by, title), primaries in parts.items():
            cells = [share(report, by, title, name) for report in reports]
            body += rows([[escape(title), f"{primaries:,}", *cells]])
        found += f'<div class="wide"><table>{body}</table></div>'
    return found


def share(report: Report, by: str, title: str, name: str) -> str:
    """A metric of a part over its floor; the spread as it is."""
    part = next((part for part in report.parts if (part.by, part.title) == (by, title)), None)
    value = part.metrics.get(name) if part else None
    scale = 1.0 if name == "spread" else value.floor if value else None
    return f"{value.value / scale:.2f} ± {value.error / scale:.2f}" if value and scale else "–"


def calibration(reports: Sequence[Report]) -> str:
    body = rows([["model", "factor", "fitted on", "metric", "before", "after"]], "th")
    for title, report in zip(titles(reports), reports, strict=True):
        if report.calibration is None:
            continue
        c = report.calibration
        for name in c.after:
            known = [title, f"{c.factor:.4f} ± {c.error:.4f}", c.split, metrics.get(name).INFO.title]
            body += rows([[*(escape(cell) for cell in known), both(c.before.get(name)), both(c.after[name])]])
    return f'<div class="wide"><table>{body}</table></div>'


def definitions(reports: Sequence[Report]) -> str:
    names = dict.fromkeys(name for report in reports for name in report.metrics)
    lines = []
    for info in (metrics.get(name).INFO for name in names):
        cells = (info.title, info.formula, info.unit or "1", BETTER[info.direction], info.source)
        lines.append([escape(cell) for cell in cells])
    head = ["metric", "formula", "unit", "reads", "source"]
    return f'<table class="text">{rows([head], "th")}{rows(lines)}</table>'


# ------------------------------------------------------------------------------------------------------------- figures
def svg(figure: Figure) -> str:
    """A figure as an SVG element."""
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "showerscope"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def channels(judged: Sequence[Judged]) -> Figure:
    """Five channels and the photon sum: simulation as points, models as steps, their ratio below."""
    reports = [report for report, _ in judged]
    simulated = judged[0][1]["simulated"].astype(float)
    spectra = [simulated[..., c] for c in range(simulated.shape[2])] + [simulated.sum(axis=2)]
    made = [arrays["generated"].astype(float) for _, arrays in judged]
    figure = Figure(figsize=(12, 9), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    for place, values in enumerate(spectra):
        inner = grid[place // 3, place % 3].subgridspec(2, 1, height_ratios=(3, 1), hspace=0.05)
        above, below = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
        last = place == len(spectra) - 1
        edges = bins(values)
        middle = (edges[1:] + edges[:-1]) / 2
        counts = count(values, edges)
        low, high = garwood(counts)
        there = counts > 0
        ends = np.stack([counts - low, high - counts])[:, there]
        above.errorbar(middle[there], counts[there], ends, fmt="k.", ms=4, lw=0.8, label="simulation")
        safe = np.maximum(counts, 1)
        below.fill_between(
            np.repeat(edges, 2)[1:-1], np.repeat(low / safe, 2), np.repeat(high / safe, 2), color="0.85", lw=0
        )
        below.axhline(1, color="0.4", lw=0.8)
        for k, sums in enumerate(made):
            drawn = sums.sum(axis=2) if last else sums[..., place]
            weight = values.size / drawn.size
            height = weight * count(drawn, edges)
            look = {"color": COLOURS[k], "ls": DASHES[k], "lw": 1.4}
            above.stairs(height, edges, baseline=None, label=titles(reports)[k], **look)
            error = weight * np.sqrt(np.maximum(height / weight, 0))
            below.stairs(np.where(there, height / safe, np.nan), edges, baseline=None, **look)
            below.errorbar(
                middle[there], (height / safe)[there], (error / safe)[there], fmt="none", color=COLOURS[k], lw=0.8
            )
        above.set(yscale="log", ylabel="showers", title="photon sum" if last else f"channel {place + 1}")
        above.tick_params(labelbottom=False)
        below.set(xlim=(edges[0], edges[-1]), ylim=(0, 2), xlabel="photons", ylabel="model / sim.")
        above.set_xlim(edges[0], edges[-1])
        if place == 0:
            above.legend(fontsize=8, frameon=False)
    return figure


def bins(values: NDArray) -> NDArray:
    """Equal bins of whole photons from 0 to the 99 % quantile."""
    top = max(BINS, float(np.quantile(values, 0.99)))
    return np.arange(BINS + 1) * np.ceil(top / BINS)


def count(values: NDArray, edges: NDArray) -> NDArray[np.float64]:
    inside = np.clip(values.ravel(), edges[0], np.nextafter(edges[-1], 0))
    return np.histogram(inside, edges)[0].astype(float)


def garwood(counts: NDArray) -> tuple[NDArray, NDArray]:
    """Central 68.27 % intervals of Poisson means given the counts (F. Garwood, Biometrika 28 (1936) 437)."""
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), TAIL), 0.0)
    return low, gammaincinv(counts + 1, 1 - TAIL)
