"""Clouds of a training replayed in the browser: it gets all frames once, and plays them without asking again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from streamlit.components import v2

from app.charts import partition, replay
from app.charts.bridging import Judged
from app.charts.colour import GENERATED, PURPLE, data_blue, faint
from app.charts.replay import Frame, Span
from app.components.parts import part
from engine.schema import Arrays


@dataclass(frozen=True)
class Panel:
    """One square. real: points that stand in it always, faint behind `frames`. status: where its training stands.
    note: a sentence. plane: clusters of cells and a tone for each."""

    title: str
    frames: Sequence[Frame] = ()
    note: str = ""
    status: str = ""
    plane: tuple[Arrays, list[int]] | None = None
    still: bool = False
    """It has no frames, ever."""
    exact: bool = False
    """Real points alone, in their own colour."""
    judged: Judged | None = None
    """What stands in words below the last frame."""
    empty: str = ""
    """What stands in it while it has no frame."""


def mount() -> Any:
    """The component's mounting command. Registered again in each process that runs pages."""
    js = part("files.js", "pens.js", "replay.js")
    return v2.component("showerscope_replay", html=part("replay.html"), css=part("replay.css"), js=js)


def data_of(
    panels: Sequence[Panel], real: np.ndarray, span: Span, moments: Sequence[str], clock: Sequence[float], stem: str,
    dark: bool,
) -> dict[str, Any]:  # fmt: skip
    """Everything that the browser draws. clock: shares of the training at which anything changes; moments: each in
    words. stem: of files that are saved."""
    return {
        "span": [list(axis) for axis in span],
        "real": replay.packed(real, span),
        "clock": [round(share, 6) for share in clock],
        "moments": list(moments),
        "panels": [_panel(panel, clock, span, dark) for panel in panels],
        "stem": stem,
        "colours": {
            "exact": data_blue(dark), "faint": faint(dark), "on": GENERATED, "off": PURPLE if not dark else "#E59AC4",
        },
        "dark": dark,
    }  # fmt: skip


def _panel(panel: Panel, clock: Sequence[float], span: Span, dark: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": panel.title, "note": panel.note, "status": panel.status, "exact": panel.exact,
        "still": panel.still, "empty": panel.empty,
        "frames": [
            replay.drawn(frame, span, panel.judged if k == len(panel.frames) - 1 else None)
            for k, frame in enumerate(panel.frames)
        ],
        "at": replay.shown_at([frame.share for frame in panel.frames], clock),
    }  # fmt: skip
    if panel.plane:
        arrays, tones = panel.plane
        cluster = np.asarray(arrays["cluster"])
        found["plane"] = {
            "side": list(cluster.shape), "cluster": replay.bytes_of(cluster), "colours": partition.colours(tones, dark),
            "print": partition.colours(tones, dark=False),
            "alt": f"The plane in {len(np.unique(cluster))} coloured regions, each of one of "
            f"{arrays.meta['clusters']} clusters",
        }  # fmt: skip
    return found


def show(key: str, data: dict[str, Any]) -> None:
    mount()(key=key, data=data)
