"""Images of grey values as PNG data URLs: 0 black, 255 white, axis 0 down the picture."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from app.charts.colour import DIVERGING
from app.charts.picture import CLEAR, data_url, figure_html, png_bytes

WHITE = 255.0
GREYS = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[:, None], 3, axis=1)


def scale_grey(image: np.ndarray, top: float = WHITE) -> np.ndarray:
    """Palette indices of grey values; `top` is white."""
    return np.clip(np.nan_to_num(image) * (CLEAR / max(top, 1e-9)), 0, CLEAR).astype(np.uint8)


def image_url(image: np.ndarray, top: float = WHITE) -> str:
    """One image (H, W)."""
    return data_url(png_bytes(scale_grey(image, top), GREYS))


def sheet_url(images: np.ndarray, columns: int, top: float = WHITE, gap: int = 2, signed: bool = False) -> str:
    """Many images (n, H, W) in one picture, row by row, all on one scale. signed: of differences, blue below zero,
    white at zero, red above, ±`top` at the ends."""
    n, height, width = images.shape
    columns = min(columns, max(1, n))
    rows = max(1, -(-n // columns))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), CLEAR, np.uint8)
    index = scale_grey(images + top, 2 * top) if signed else scale_grey(images, top)
    for k, image in enumerate(np.minimum(index, CLEAR - 1)):
        y, x = (k // columns) * (height + gap), (k % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = image
    return data_url(png_bytes(sheet, DIVERGING if signed else GREYS, clear=True))


def sheet_html(
    images: np.ndarray, columns: int, caption: str, alt: str, width: int, heads: Sequence[str] = (),
    top: float = WHITE, signed: bool = False,
) -> str:  # fmt: skip
    """A sheet as a figure. heads: a word above each column; `caption` may hold markup of ours."""
    words = "".join(f"<span>{html.escape(head)}</span>" for head in heads)
    above = f"<span class='ss-sums' style='--n:{len(heads)}'>{words}</span>" if words else ""
    return figure_html(sheet_url(images, columns, top, signed=signed), caption + above, alt, width)


def tiles_html(images: np.ndarray, labels: Sequence[str], hints: Sequence[str], columns: int) -> str:
    """Images one by one with a word below and more on hovering."""
    figures = "".join(
        f'<figure title="{html.escape(hint, quote=True)}"><img src="{image_url(image)}" '
        f'alt="{html.escape(hint, quote=True)}"><figcaption>{html.escape(label)}</figcaption></figure>'
        for image, label, hint in zip(images, labels, hints, strict=True)
    )
    return f'<div class="ss-tiles" style="--n:{columns}">{figures}</div>'
