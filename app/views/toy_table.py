"""Manifolds: SC-GAN's Table 1 beside ours, and what that table leaves out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.charts import standings
from app.components import notices
from app.components.words import plain
from engine.schema import Benchmark, BenchmarkRow, Catalogue, DatasetInfo, MetricValue

MSE, W1, OFF = "reconstruction", "w1", "off_manifold"
COMMAND = "showerscope bench toys"
ROW_HEIGHT = 30


def record_of(data: str, records: Sequence[Benchmark]) -> Benchmark | None:
    """The record of a set: a full one before a quick one, else in the engine's order."""
    mine = [r for r in records if r.bench == data and r.rows]
    return min(mine, key=lambda r: r.quick, default=None)


def show(dataset: DatasetInfo, book: Catalogue, records: list[Benchmark]) -> None:
    """The chosen set."""
    st.markdown("#### SC-GAN's Table 1, beside ours")
    published = errors_of(book)
    record = record_of(dataset.name, records)
    if record is None:
        notices.empty(
            f"There is no record of {dataset.title.lower()} yet; the published figures stand alone. `{COMMAND} --data "
            f"{dataset.name}` trains every row with three seeds and leaves its record here (`--quick`: a trial)."
        )
    frame = rows_of(dataset, record, published)
    table(frame, "toy_table", f"{dataset.title}: {len(frame)} rows with reconstruction error, published error, W₁ and "
          "share off the manifold")  # fmt: skip
    caption(record, book)


def every(toys: list[DatasetInfo], book: Catalogue, records: list[Benchmark]) -> None:
    """The same of all sets, in one table."""
    with st.expander("SC-GAN's Table 1, beside ours: all sets"):
        published = errors_of(book)
        frames = {d.title: rows_of(d, record_of(d.name, records), published) for d in toys}
        frame = pd.concat(frames, names=["set"]).reset_index(level="set")
        table(frame, "toy_table_all", f"The same of all {len(toys)} sets")


def errors_of(book: Catalogue) -> dict[tuple[str, str], float]:
    """Published errors by set and name of the row."""
    return {(r.bench, r.model): r.others[MSE] for r in book.published if MSE in r.others}


def rows_of(
    dataset: DatasetInfo, record: Benchmark | None, published: dict[tuple[str, str], float]
) -> pd.DataFrame:  # fmt: skip
    """Our rows with the published figure of each; published rows alone where there is no record."""
    theirs = {model: value for (bench, model), value in published.items() if bench == dataset.name}
    rows: list[tuple[str, str, BenchmarkRow | None]] = [
        (r.title, r.published, r) for r in (record.rows if record else [])
    ]
    matched = {name for _, name, _ in rows}
    rows += [(f"SC-GAN, {name}", name, None) for name in theirs if name not in matched]
    found = []
    for title, name, row in rows:
        metrics = row.metrics if row else {}
        off, w1 = metrics.get(OFF), metrics.get(W1)
        found.append(
            {
                "row": title,
                "MSE [10⁻³]": standings.both(times(1000, metrics.get(MSE))),
                "paper [10⁻³]": f"{1000 * theirs[name]:.0f}" if name in theirs else "–",
                "W₁": standings.both(w1),
                "× floor": f"{w1.value / w1.floor:.2f}" if w1 and w1.floor else "–",
                "off [%]": standings.both(times(100, off)),
            }
        )
    return pd.DataFrame(found)


def times(factor: float, value: MetricValue | None) -> MetricValue | None:
    return value and value.model_copy(update={"value": factor * value.value, "error": factor * value.error})


def table(frame: pd.DataFrame, key: str, alt: str) -> None:
    config = {
        name: st.column_config.TextColumn(
            width=standings.pixels([str(v) for v in frame[name]], name), pinned=name in ("set", "row")
        )
        for name in frame.columns
    }  # fmt: skip
    st.dataframe(
        frame, hide_index=True, key=key, height=min(ROW_HEIGHT * (len(frame) + 1) + 2, 480), row_height=ROW_HEIGHT,
        column_config=config, alt=alt,
    )  # fmt: skip


def caption(record: Benchmark | None, book: Catalogue) -> None:
    source = next((r.source for r in book.published if MSE in r.others), "")
    parts = [
        "MSE: of encoded test points decoded again, noise fixed, mean over coordinates, in the scale of public code. "
        "The paper states neither its scale nor its average: compare modes, not columns",
        "× floor: over W₁ between two exact clouds; of exact points at most 0.1 % lie off",
    ]
    if record:
        seeds = len(record.seeds)
        parts.append(
            f"± over {seeds} seeds" if seeds > 1 else "One seed: ± of its test points, not of another training"
        )
        parts.append("**Quick, no verdict**" if record.quick else "")
        parts.append(f"commit `{record.commit}`" if record.commit else "")
    st.caption(". ".join(p for p in parts if p) + f". Published: {plain(source)}." * bool(source))
