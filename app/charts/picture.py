"""Showers as PNG data URLs: palette images, so that a 44×44 shower is half a kilobyte and needs no colour mapping."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from app.charts.colour import DIVERGING, VIRIDIS

CLEAR = 255


def png_bytes(index: np.ndarray, palette: np.ndarray, clear: bool = False) -> bytes:
    """A palette PNG of an (h, w) array of indices 0–255; with `clear` the index `CLEAR` is transparent."""
    height, width = index.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row starts with its filter: 0, none
    rows[:, 1:] = index

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        + (chunk(b"tRNS", b"\xff" * CLEAR + b"\x00") if clear else b"")
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


def data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def upright(shower: np.ndarray) -> np.ndarray:
    """From array order (axis 0 = x, axis 1 = y) to image order (top row first), so that x runs right and y up."""
    return shower.T[::-1]


def scale_photons(photons: np.ndarray, top: float, log: bool) -> np.ndarray:
    """Palette indices of photon counts; `top` photons are the brightest colour."""
    top = max(top, 1e-9)
    share = np.log1p(np.maximum(photons, 0)) / np.log1p(top) if log else np.asarray(photons) / top
    return np.clip(np.nan_to_num(share) * 255, 0, 255).astype(np.uint8)


def shower_url(shower: np.ndarray, top: float, log: bool = True) -> str:
    """One shower (H, W) in photons as a data URL in viridis."""
    return data_url(png_bytes(upright(scale_photons(shower, top, log)), VIRIDIS))


def residual_url(residual: np.ndarray, top: float) -> str:
    """A residual (H, W) in photons, blue to red, white at zero and ±`top` at the ends."""
    index = np.clip(127.5 + 127.5 * residual / max(top, 1e-9), 0, 255).astype(np.uint8)
    return data_url(png_bytes(upright(index), DIVERGING))


def mask_url(channel: np.ndarray, palette: Sequence[str]) -> str:
    """A read-out mask: which of the channels each fibre belongs to."""
    colours = np.zeros((256, 3), np.uint8)
    for k, colour in enumerate(palette):
        colours[k] = list(bytes.fromhex(colour[1:]))
    return data_url(png_bytes(upright(np.asarray(channel, np.uint8)), colours))


def sprite_url(
    showers: np.ndarray, columns: int, log: bool = True, shared: bool = False, gap: int = 2, top: float | None = None
) -> str:
    """Many showers (n, H, W) in one picture, row by row. Each is scaled to its own maximum unless `shared`: then all
    to `top` photons, by default their largest."""
    n, width, height = showers.shape
    rows = max(1, -(-n // columns))
    columns = min(columns, max(1, n))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), CLEAR, np.uint8)
    largest = float(showers.max(initial=0.0)) if top is None else top
    for k, shower in enumerate(showers):
        bright = largest if shared else float(shower.max())
        y, x = (k // columns) * (height + gap), (k % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = np.minimum(upright(scale_photons(shower, bright, log)), CLEAR - 1)
    return data_url(png_bytes(sheet, VIRIDIS, clear=True))


def strip_html(showers: np.ndarray, title: str, width: int = 600) -> str:
    """A row of showers with the photon sum of each above it."""
    sums = "".join(f"<span>{v:,.0f}</span>" for v in showers.reshape(len(showers), -1).sum(1))
    caption = f"<b>{title}</b>, photons<span class='ss-sums' style='--n:{len(showers)}'>{sums}</span>"
    return figure_html(sprite_url(showers, len(showers)), caption, f"{title}: {len(showers)} showers", width)


def figure_html(url: str, caption: str, alt: str, width: int) -> str:
    """A figure with its caption above; `caption` may hold markup of ours, `alt` is escaped here."""
    return (
        f'<figure style="width:{width}px"><figcaption>{caption}</figcaption>'
        f'<img src="{url}" width="{width}" alt="{html.escape(alt, quote=True)}"></figure>'
    )


def row_html(figures: Sequence[str]) -> str:
    return f'<div class="ss-figures">{"".join(figures)}</div>'


def column_html(figures: Sequence[str]) -> str:
    return f'<div class="ss-figures ss-column">{"".join(figures)}</div>'


def bar_html(top: float, log: bool, width: int = 160) -> str:
    """The colour bar of `shower_url`, with its ends in photons."""
    ramp = data_url(png_bytes(np.arange(256, dtype=np.uint8)[None], VIRIDIS))
    scale = "log(1+photons)" if log else "linear"
    return (
        f'<figure style="width:{width}px"><figcaption>photons, {scale}</figcaption>'
        f'<img src="{ramp}" width="{width}" height="10" alt="Colour bar from 0 to {top:.0f} photons">'
        f'<figcaption style="display:flex;justify-content:space-between"><span>0</span><span>{top:,.0f}</span>'
        "</figcaption></figure>"
    )
