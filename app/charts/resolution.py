"""Response and resolution against energy, as calorimeters are judged: linearity, σ/E, and a fit a/√E ⊕ b."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from app.charts.colour import GENERATED, faint, ink
from app.charts.histogram import bars, pairs

LEAST_POINTS = 3
HEIGHT = 400
NAMES = ("generated", "simulated", "generated, same conditions")


@dataclass(frozen=True)
class Points:
    """Light against energy. energy_gev, mean and sigma with their errors [photons]: (k,)."""

    energy_gev: np.ndarray
    mean: np.ndarray
    mean_error: np.ndarray
    sigma: np.ndarray
    sigma_error: np.ndarray

    def lit(self) -> Points:
        """Those with light at an energy above 0, by energy."""
        good = (self.mean > 0) & (self.energy_gev > 0) & np.isfinite(self.mean) & np.isfinite(self.sigma)
        order = np.flatnonzero(good)[np.argsort(self.energy_gev[good], kind="stable")]
        return Points(*(column[order] for column in self.columns()))

    def columns(self) -> tuple[np.ndarray, ...]:
        return self.energy_gev, self.mean, self.mean_error, self.sigma, self.sigma_error

    def response(self) -> tuple[np.ndarray, np.ndarray]:
        """Photons a GeV, and their error."""
        return self.mean / self.energy_gev, self.mean_error / self.energy_gev

    def resolution(self) -> tuple[np.ndarray, np.ndarray]:
        """σ/mean, relative errors in quadrature."""
        value = self.sigma / self.mean
        wide = self.sigma > 0
        relative = np.divide(self.sigma_error, self.sigma, out=np.zeros_like(value), where=wide)
        return value, np.where(wide, value * np.hypot(relative, self.mean_error / self.mean), 0.0)


@dataclass(frozen=True)
class Fit:
    """σ/mean = a/√E ⊕ b. a in √GeV, b a number; chi2 over ndf."""

    a: float
    a_error: float
    b: float
    b_error: float
    chi2: float
    ndf: int

    def at(self, energy_gev: np.ndarray) -> np.ndarray:
        return resolution_law(energy_gev, self.a, self.b)


def resolution_law(energy_gev: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.hypot(a / np.sqrt(energy_gev), b)


def fit_resolution(points: Points) -> Fit | None:
    """Least squares of both parameters, neither below 0; None where there are fewer than three points with errors or
    no parameters are found."""
    points = points.lit()
    value, error = points.resolution()
    good = (error > 0) & np.isfinite(value)
    energy, value, error = points.energy_gev[good], value[good], error[good]
    if len(value) < LEAST_POINTS:
        return None
    start = (float(value[0] * np.sqrt(energy[0])), float(value.min()))
    try:
        found, covariance = curve_fit(
            resolution_law, energy, value, start, error, absolute_sigma=True, bounds=(0, np.inf)
        )
    except (RuntimeError, ValueError):
        return None
    errors = np.sqrt(np.diag(covariance))
    chi2 = float((((value - resolution_law(energy, *found)) / error) ** 2).sum())
    a, b, a_error, b_error = (float(x) for x in (*found, *errors))
    return Fit(a, a_error, b, b_error, chi2, len(value) - 2)


def fit_constant(points: Points) -> tuple[float, float]:
    """The photons a GeV that all points share: mean weighted by 1/error², and its error; nan without points."""
    value, error = points.lit().response()
    good = error > 0
    if not good.any():
        return float("nan"), float("nan")
    weight = 1 / error[good] ** 2
    return float((weight * value[good]).sum() / weight.sum()), float(1 / np.sqrt(weight.sum()))


@dataclass(frozen=True)
class Series:
    """One of the curves of both charts: its values and errors against energy."""

    name: str
    energy_gev: np.ndarray
    value: np.ndarray
    error: np.ndarray
    constant: float = float("nan")


def response_chart(model: Points, simulated: Points, matched: Points, dark: bool) -> dict[str, Any]:
    """Mean light over energy, above; its ratio to the constant that fits each, below."""
    series = [
        Series(name, points.energy_gev, *points.response(), fit_constant(points)[0])
        for name, points in zip(NAMES, (model, simulated, matched), strict=True)
    ]
    option = _frame(series, "mean light / E [photons/GeV]", dark, low="ratio to fit")
    ratios = [
        Series(s.name, s.energy_gev, s.value / s.constant, s.error / s.constant, s.constant)
        for s in series if np.isfinite(s.constant) and len(s.value)
    ]  # fmt: skip
    option["series"] = _draw(series, dark, 0) + _draw(ratios, dark, 1)
    spread = [abs(r.value - 1).max() for r in ratios]
    reach = min(1.0, max(0.1, float(np.ceil(12 * max(spread, default=0.1)) / 10)))
    option["yAxis"][1] |= {"min": round(1 - reach, 3), "max": round(1 + reach, 3), "interval": reach}
    _unity(option, dark)
    return option


def resolution_chart(
    model: Points, simulated: Points, matched: Points, fits: tuple[Fit | None, Fit | None], dark: bool
) -> dict[str, Any]:
    """σ/mean with its fits above, points over their own fit below. fits: of the model and of the simulation."""
    series = [
        Series(name, points.energy_gev, *points.resolution())
        for name, points in zip(NAMES, (model, simulated, matched), strict=True)
    ]
    option = _frame(series, "σ(light) / mean light", dark, low="ratio to fit")
    drawn, ratios = _draw(series, dark, 0), []
    for fit, line, colour in zip(fits, series[:2], (GENERATED, ink(dark)), strict=True):
        if fit is None or not len(line.energy_gev):
            continue
        at = np.geomspace(line.energy_gev.min(), line.energy_gev.max(), 40)
        drawn.append({
            "type": "line", "name": f"fit, {line.name}", "symbol": "none", "data": pairs(at, fit.at(at)),
            "lineStyle": {"color": colour, "width": 1.2, "type": "dashed"}, "itemStyle": {"color": colour},
        })  # fmt: skip
        option["legend"]["data"].append(f"fit, {line.name}")
        law = fit.at(line.energy_gev)
        ratios.append(Series(line.name, line.energy_gev, line.value / law, line.error / law))
    option["series"] = drawn + _draw(ratios, dark, 1)
    option["yAxis"][1] |= {"min": 0.5, "max": 1.5, "interval": 0.5}
    _unity(option, dark)
    return option


def _unity(option: dict[str, Any], dark: bool) -> None:
    option["series"].append({
        "type": "line", "xAxisIndex": 1, "yAxisIndex": 1, "data": [], "silent": True, "tooltip": {"show": False},
        "markLine": {
            "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": 1}],
            "lineStyle": {"color": faint(dark), "width": 1.5, "type": "dashed"},
        },
    })  # fmt: skip


def _frame(series: list[Series], title: str, dark: bool, low: str) -> dict[str, Any]:
    energies = np.concatenate([s.energy_gev for s in series]) if series else np.zeros(0)
    ends = (float(energies.min()) / 1.1, float(energies.max()) * 1.1) if len(energies) else (10.0, 1000.0)
    middle = int(0.7 * HEIGHT)
    grid = {"left": 62, "right": 18, "outerBoundsMode": "none"}
    lines = {"splitLine": {"show": False}, "axisLine": {"show": True}, "axisTick": {"show": True}}
    named = {"nameLocation": "middle", "nameTextStyle": {"fontSize": 11}}
    x = {"type": "log", "min": ends[0], "max": ends[1], **lines}
    quiet = {"showMinLabel": False, "showMaxLabel": False, "hideOverlap": True, "fontSize": 10}
    return {
        "animation": False,
        "tooltip": {"trigger": "item", "valueFormatter": "%.3g"},
        "legend": {
            "type": "scroll", "data": [s.name for s in series if len(s.value)], "top": 0, "left": 0, "itemHeight": 9,
        },
        "grid": [
            {**grid, "top": 34, "height": middle - 34}, {**grid, "top": middle + 12, "height": HEIGHT - middle - 56}
        ],
        "xAxis": [
            {**x, "gridIndex": 0, "axisLabel": {"show": False}},
            {**x, "gridIndex": 1, "axisLabel": quiet, "name": "energy E [GeV]", "nameGap": 24, **named},
        ],
        "yAxis": [
            {"type": "value", "min": 0, "gridIndex": 0, "name": title, "nameGap": 42, **lines, **named,
             "axisLabel": {"fontSize": 10}, "splitNumber": 4},
            {"type": "value", "gridIndex": 1, "name": low, "nameGap": 42, **lines, **named,
             "axisLabel": {"fontSize": 10}},
        ],
    }  # fmt: skip


def _draw(series: list[Series], dark: bool, axis: int) -> list[dict[str, Any]]:
    """The model as a line with a band of its error, the simulation as points, matched showers as open diamonds."""
    drawn: list[dict[str, Any]] = []
    on = {"xAxisIndex": axis, "yAxisIndex": axis}
    for line in series:
        if not len(line.value):
            continue
        x, y, error = line.energy_gev, line.value, line.error
        if line.name == "generated":
            drawn += _band(line, on)
            continue
        points = line.name == "simulated"
        colour = ink(dark) if points else GENERATED
        look = {"color": colour} if points else {"color": "transparent", "borderColor": colour, "borderWidth": 1.6}
        drawn += [
            {
                "type": "line", **on, "symbol": "none", "silent": True, "tooltip": {"show": False}, "z": 4,
                "data": bars(x, y - error, y + error), "lineStyle": {"color": colour, "width": 1.2},
            },
            {
                "type": "scatter", **on, "name": line.name, "z": 5 if points else 6, "data": pairs(x, y),
                "symbol": "circle" if points else "diamond", "symbolSize": 6 if points else 10, "itemStyle": look,
            },
        ]  # fmt: skip
    return drawn


def _band(line: Series, on: dict[str, int]) -> list[dict[str, Any]]:
    """Its lower edge, not drawn, with the width stacked on it, then the line."""
    x, y, error = line.energy_gev, line.value, line.error
    edge = {
        "type": "line", **on, "symbol": "none", "silent": True, "tooltip": {"show": False}, "lineStyle": {"width": 0},
        "stack": f"band {on['yAxisIndex']}", "stackStrategy": "all",
    }  # fmt: skip
    return [
        {**edge, "data": pairs(x, y - error)},
        {**edge, "data": pairs(x, 2 * error), "areaStyle": {"color": GENERATED, "opacity": 0.3}},
        {
            "type": "line", **on, "name": line.name, "symbol": "none", "data": pairs(x, y), "z": 3,
            "lineStyle": {"color": GENERATED, "width": 2}, "itemStyle": {"color": GENERATED},
        },
    ]  # fmt: skip
