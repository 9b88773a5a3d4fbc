"""Images of classes, such as digits: generated beside real ones, and what is measured on them."""

from __future__ import annotations

import html

import numpy as np

from app.charts import grey, picture
from app.charts.picture import figure_html
from engine.schema import Arrays

COLUMNS, ROWS = 10, 8
SHEET = 372
STRIP = 600
SINGLE = 112
TILE = 44
LIT = 127
"""Above this a pixel counts as lit."""


def per_class(classes: np.ndarray, wanted: list[int], each: int) -> np.ndarray:
    """Indices of the first `each` images of every wanted class, a row of all classes after the other. A class with
    fewer limits all."""
    found = [np.flatnonzero(classes == k)[:each] for k in wanted]
    fewest = min((len(f) for f in found), default=0)
    return np.stack([f[:fewest] for f in found], axis=1).ravel() if fewest else np.zeros(0, int)


def sheet(images: np.ndarray, classes: np.ndarray, names: dict[int, str], chosen: int | None, title: str) -> str:
    """A grid: a column a class, or one class throughout."""
    every = list(names)
    if chosen is None and 1 < len(every) <= 2 * COLUMNS:
        shown = images[per_class(classes, every, ROWS)]
        heads, across = [names[k] for k in every], len(every)
    else:
        shown, heads, across = images[: COLUMNS * ROWS], [], COLUMNS
    caption = f"<b>{html.escape(title)}</b>, {len(shown)} of {len(images)}"
    return grey.sheet_html(shown, across, caption, f"{title}: {len(shown)} images", SHEET, heads)


def moments(
    made: np.ndarray, real: np.ndarray, made_class: np.ndarray, real_class: np.ndarray, names: dict[int, str],
    chosen: int | None,
) -> str:  # fmt: skip
    """Means, their difference and σ: of each class in a column of its own, or of the chosen one, larger."""
    groups = [k for k in names if chosen in (None, k)]
    pairs = [(made[made_class == k], real[real_class == k]) for k in groups] if groups else [(made, real)]
    pairs = [(g, r) for g, r in pairs if len(g) and len(r)]
    if not pairs:
        return ""
    mean, other = (np.stack([np.asarray(p[k], float).mean(0) for p in pairs]) for k in (0, 1))
    sigma, spread = (np.stack([np.asarray(p[k], float).std(0) for p in pairs]) for k in (0, 1))
    residual = mean - other
    far, top = float(np.abs(residual).max()), float(max(sigma.max(), spread.max()))
    heads = [names[k] for k in groups] if len(pairs) > 1 and len(pairs) == len(groups) else []
    n, across = len(pairs), len(pairs)
    width = SHEET if n > 1 else SINGLE
    figures = [
        grey.sheet_html(mean, across, "<b>Mean</b>, generated", "Mean of the generated images", width, heads),
        grey.sheet_html(other, across, "<b>Mean</b>, real", "Mean of the real images", width),
        grey.sheet_html(
            residual, across, f"<b>Difference</b>, ±{far:.0f}", "Generated minus real mean", width,
            top=far, signed=True,
        ),
        grey.sheet_html(
            sigma, across, "<b>σ</b>, generated", "Standard deviation, generated", width,
            top=top,
        ),
        grey.sheet_html(spread, across, f"<b>σ</b>, real, 0–{top:.0f}", "Standard deviation, real", width, top=top),
    ]  # fmt: skip
    if n > 1:
        return f'<div class="ss-figures ss-column" style="width:{SHEET}px">{"".join(figures)}</div>'
    return f'<div class="ss-figures" style="width:{3 * width + 40}px">{"".join(figures)}</div>'


def quantities(images: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Numbers of each image, by name with their unit."""
    flat = np.asarray(images, float).reshape(len(images), -1)
    return {
        "mean grey value": ("grey value", flat.mean(1)),
        "lit pixels": ("pixels", (flat > LIT).sum(1).astype(float)),
    }


def strip(shown: Arrays, names: dict[int, str]) -> str:
    """One example a class: real, encoded and decoded again, generated at fixed noise."""
    heads = [names.get(int(c), f"{c:g}") for c in np.asarray(shown["conditions"])[:, 0]] if names else []
    titles = {"simulated": "Real", "reconstructed": "Reconstructed", "generated": "Generated"}
    rows = [
        grey.sheet_html(
            np.asarray(shown[name]), len(shown[name]), f"<b>{title}</b>", f"{title}: {len(shown[name])} images", STRIP,
            heads if k == 0 else (),
        )
        for k, (name, title) in enumerate(titles.items())
        if name in shown
    ]  # fmt: skip
    return picture.column_html(rows)


def gallery(images: np.ndarray, caption: str, across: int = COLUMNS) -> str:
    """A sheet of a selection."""
    url = grey.sheet_url(images, across)
    width = TILE * min(across, len(images)) if len(images) > 1 else 3 * TILE
    return figure_html(url, caption, f"Gallery of {len(images)} images", width)
