"""Coverage as tables and bars of HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from app.charts.colour import DATA
from engine.schema import Distinction, MetricValue, Region

FORMULAS = {
    "density": "How many data neighbourhoods hold a generated point, over k (Naeem et al., 2020)",
    "coverage": "Share of data neighbourhoods that hold a generated point (Naeem et al., 2020)",
    "precision": "Share of generated points within the data's neighbourhoods (Kynkäänniemi et al., 2019)",
    "recall": "Share of data within the generated points' neighbourhoods (Kynkäänniemi et al., 2019)",
    "sinkhorn": "Debiased Sinkhorn divergence, cost ½‖x − y‖²",
}


def figures(value: float, error: float | None) -> str:
    """A value and its error, both to the error's second digit."""
    if error is None or not error > 0:
        return f"{value:.3g}"
    digits = max(0, min(6, 1 - int(f"{error:e}".split("e")[1])))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def table_html(metrics: dict[str, MetricValue], chosen: str) -> str:
    """A row a metric: value, floor, and how far apart in errors; the chosen one is bold."""
    rows = []
    for name, value in metrics.items():
        floor = figures(value.floor, value.floor_error) if value.floor is not None else "–"
        apart = "–"
        if value.floor is not None:
            sigma = (value.error**2 + (value.floor_error or 0.0) ** 2) ** 0.5
            apart = f"{(value.value - value.floor) / sigma:+.1f} σ" if sigma > 0 else "–"
        tag = "b" if name == chosen else "span"
        head = f"<{tag}>{html.escape(name)}</{tag}>"
        unit = f" {html.escape(value.unit)}" if value.unit else ""
        rows.append(
            f'<tr title="{html.escape(FORMULAS.get(name, ""), quote=True)}"><th scope="row">{head}</th>'
            f"<td>{figures(value.value, value.error)}{unit}</td><td>{floor}</td><td>{apart}</td></tr>"
        )
    return (
        '<table class="ss-table"><thead><tr><th></th><th scope="col">generated</th><th scope="col">floor</th>'
        f'<th scope="col">apart</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def title_of(region: Region, number: int) -> str:
    return f"{region.kind.capitalize()} {number}"


def summary(region: Region) -> str:
    """How much lies there, and how much of the other layer was to."""
    own, other = ("data", "generated") if region.kind == "hole" else ("generated", "data")
    return (
        f"{100 * region.share:.1f} % of {own} · {region.found:.2g} {other} neighbours, {region.expected:.2g} expected"
    )


def distinctions_html(region: Region, most: int = 5) -> str:
    """A bar a quantity: how far these points are from the other data, 0 to 1."""
    rows = "".join(_bar(d) for d in region.distinctions[:most])
    return f'<div class="ss-bars" role="list">{rows}</div>' if rows else ""


def _bar(found: Distinction) -> str:
    said = found.value or f"{short(found.low)} – {short(found.high)} {found.unit}".strip()
    width = 100 * min(1.0, max(0.0, found.statistic))
    words = f"{found.name} {said}, {found.statistic:.2f}"
    return (
        f'<div role="listitem" aria-label="{html.escape(words, quote=True)}"><span>{html.escape(found.name)}</span>'
        f"<span>{html.escape(said)}</span>"
        f'<i><i style="width:{width:.0f}%;background:{DATA}"></i></i><b>{found.statistic:.2f}</b></div>'
    )


def short(value: float | None) -> str:
    """Three digits, thousands whole."""
    return "?" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def names(regions: Sequence[Region]) -> list[str]:
    """`Hole 1`, `Island 1`, `Hole 2`, in their order."""
    seen = {"hole": 0, "island": 0}
    found = []
    for region in regions:
        seen[region.kind] += 1
        found.append(title_of(region, seen[region.kind]))
    return found
