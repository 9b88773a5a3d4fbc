"""Generate, for models of images and of points: choose a class, see what the model draws beside real examples."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from app import state
from app.charts import histogram, picture, points
from app.charts.colour import GENERATED
from app.components import clouds, digits, files, kinds, notices
from app.components.words import plain
from engine.schema import Arrays, Catalogue, DatasetInfo, GenerateRequest, RunInfo

SIZES = [100, 300, 1000, 3000]
SPLIT = "test"
"""What generated examples are compared with: nothing that the model has seen."""


def show(run: RunInfo, dataset: DatasetInfo, book: Catalogue) -> None:
    """The page below the strip."""
    model = next((m for m in book.models if m.name == run.model), None)
    ignored = model is not None and kinds.unconditional(run, model.conditional)
    instrument(run, dataset, f"{model.title} is unconditional: " if model and ignored else "")


@st.fragment
@notices.guarded
def instrument(run: RunInfo, dataset: DatasetInfo, ignored: str) -> None:
    """Everything that follows from the class; reruns alone when it is chosen."""
    dark = st.context.theme.type == "dark"
    names = kinds.class_names(dataset)
    word = kinds.class_word(dataset)
    chosen = kinds.pick_class(dataset)
    if ignored:
        notices.empty(f"{ignored}the {word} chosen here picks the real examples, the model draws what it likes.")
    left, right = st.columns([1, 5.2], gap="medium")
    with left:
        n = st.selectbox(
            f"{dataset.kind.capitalize()} to draw", SIZES, index=2, key=state.SAMPLES, bind="query-params",
            help=f"Equally many of each {word}, each with its own noise, all from the seed above.",
        )  # fmt: skip
        request = request_of(run, dataset, names, chosen, int(n))
        made = state.keep(f"drawn {run.run_id}", lambda: state.engine().generate(request))
        real = state.keep(f"real {run.run_id}", lambda: real_examples(dataset, names, chosen, int(n)))
        facts(made.value, real.value)
        downloads(request, dataset)
    with right:
        if made.stale or real.stale:
            notices.stale()
        if dataset.kind == "images":
            pictures(made.value, real.value, names, chosen, dataset)
        else:
            plane(made.value, real.value, names, chosen, dataset, dark)
    distributions(made.value, real.value, dataset, dark)
    st.caption(kinds.CLOSED)


def request_of(
    run: RunInfo, dataset: DatasetInfo, names: dict[int, str], chosen: int | None, n: int
) -> GenerateRequest:
    """Equally many of each class wanted."""
    wanted = [k for k in names if chosen in (None, k)]
    rows = [[float(k)] for k in wanted] or [[c.quantiles[3] for c in dataset.conditions]]
    each = max(1, n // len(rows))
    return GenerateRequest(
        run=run.run_id, step=state.current_step(), conditions=rows, n=each, seed=state.current_seed()
    )  # fmt: skip


def real_examples(dataset: DatasetInfo, names: dict[int, str], chosen: int | None, n: int) -> Arrays:
    """As many held-out examples of the same classes, as far as there are so many."""
    columns = state.known_columns(dataset, state.CONVENTIONS[0])
    wanted = [k for k in names if chosen in (None, k)]
    rows = kinds.rows_each(columns, wanted, max(1, n // max(1, len(wanted))), SPLIT, state.current_seed())
    return state.engine().showers(dataset.name, rows.tolist())


def classes_of(made: Arrays, names: dict[int, str]) -> np.ndarray:
    """The class number of each example; zeros where there are no classes."""
    return np.asarray(made["conditions"])[:, 0].astype(int) if names else np.zeros(len(made["showers"]), int)


def facts(made: Arrays, real: Arrays) -> None:
    """The drawing in numbers."""
    n = len(made["showers"])
    rows = {
        "generated": f"{n:,}",
        f"real, {SPLIT}": f"{len(real['showers']):,}",
        "time": f"{made.meta.get('ms', float('nan')) / n:.2g} ms each",
        "seed": str(made.meta.get("seed", state.current_seed())),
    }
    items = "".join(f"<span>{k}</span><b>{html.escape(v)}</b>" for k, v in rows.items())
    st.html(f'<div class="ss-facts">{items}</div>')


def pictures(
    made: Arrays, real: Arrays, names: dict[int, str], chosen: int | None, dataset: DatasetInfo
) -> None:  # fmt: skip
    """Generated beside real images, and what they are like on average."""
    parts = [(np.asarray(a["showers"]), classes_of(a, names)) for a in (made, real)]
    st.html(
        picture.row_html(
            [
                digits.sheet(*parts[0], names, chosen, "Generated"),
                digits.sheet(*parts[1], names, chosen, "Real"),
                digits.moments(parts[0][0], parts[1][0], parts[0][1], parts[1][1], names, chosen),
            ]
        )
    )
    st.caption(
        f"Grey values from 0, black, to 255, white; the difference is generated − real, blue below zero, red above, "
        f"both σ on one scale of their own. Real: split {SPLIT} of {plain(dataset.label)}, unseen in training."
    )


def plane(
    made: Arrays, real: Arrays, names: dict[int, str], chosen: int | None, dataset: DatasetInfo, dark: bool
) -> None:
    """Generated over real points, and by class."""
    xy, other = np.asarray(made["showers"], float), np.asarray(real["showers"], float)
    over, split = st.columns(2, gap="medium")
    with over:
        clouds.chart(
            points.real_and_generated(other, xy, dark), "generated_over_real",
            f"{len(xy)} generated points, orange diamonds, over {len(other)} real ones, blue circles", dark,
        )  # fmt: skip
    with split:
        groups = points.by_class(xy, classes_of(made, names), names, kinds.class_word(dataset))
        groups = [g for g in groups if len(g.xy)]
        span = points.span_of([other, xy])
        clouds.chart(
            groups or [points.Cloud("generated", xy, GENERATED)], "generated_by_class",
            f"{len(xy)} generated points by {kinds.class_word(dataset)}", dark, span=span,
        )  # fmt: skip
    st.caption(
        f"Both axes have the same scale and no unit. Left: generated over real points; right: the generated ones by "
        f"{kinds.class_word(dataset)}, as they were asked for. Real: split {SPLIT} of {plain(dataset.label)}."
    )


def quantities(examples: np.ndarray, dataset: DatasetInfo) -> dict[str, tuple[str, np.ndarray]]:
    """Numbers of each example, by name with their unit."""
    if dataset.kind == "images":
        return digits.quantities(examples)
    return {f"x{k + 1}": ("", np.asarray(column, float)) for k, column in enumerate(examples.T)}


def distributions(made: Arrays, real: Arrays, dataset: DatasetInfo, dark: bool) -> None:
    """What can be counted of each example, and how near it is to real ones."""
    xy, other = np.asarray(made["showers"]), np.asarray(real["showers"])
    if len(other) < 4:
        return
    # one half of the real examples is what distances are taken to, the other half shows how small they can be
    half = np.arange(len(other)) % 2 == 0
    own, their = quantities(xy, dataset), quantities(other, dataset)
    near = points.nearest_distance(xy, other[half]), points.nearest_distance(other[~half], other[half])
    unit = "grey values" if dataset.kind == "images" else ""
    distance = "distance to nearest real"
    st.markdown(f"#### Generated against real {dataset.kind}")
    bins = [None if dataset.kind == "images" else points.edges_of(values) for _, values in their.values()]
    top = float(np.quantile(np.concatenate(near), 0.99))
    st.echarts_chart(
        histogram.panels(
            [*their, distance],
            [*(values for _, values in their.values()), near[1]],
            [*(values for _, values in own.values()), near[0]],
            dark,
            units=[*(unit for unit, _ in their.values()), unit],
            bins=24,
            ratio="gen / real",
            labels=(f"{len(other)} real", f"{len(xy)} generated"),
            counted=dataset.kind,
            edges=[*bins, np.linspace(0, max(top, 1e-6), 25)],
        ),
        height=330,
        key="distributions",
        alt=f"Histograms of {', '.join(own)} and of the distance to the nearest real example, with ratio panels",
    )
    st.caption(
        "Points: real ones, 68 % Garwood intervals; line: generated, scaled to their number. The distance is taken to "
        "one half of the real examples, for the points from the other half: a model that memorises lies left of "
        "them, one that strays lies right. The last bin holds the overflow; ratios stop at 2."
    )


def downloads(request: GenerateRequest, dataset: DatasetInfo) -> None:
    """Files of what was drawn, made by the engine when asked for."""
    with st.popover("Download", width="stretch"):
        csv = "CSV without pictures" if dataset.kind == "images" else "CSV has all"
        st.caption(f"{dataset.kind.capitalize()} and conditions; {csv}.")
        stem = f"{dataset.kind}_{request.run.replace(':', '_')}_seed{request.seed}"
        files.buttons(lambda name: state.engine().export(request, name), stem, "download")
