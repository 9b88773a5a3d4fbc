"""Generate: take away the view, its showers, numbers and pictures, and the lines that make them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import streamlit as st

from app import state
from app.charts import numbers
from app.components import files, lines, notices, saving
from app.components.sights import Sight
from engine.schema import GenerateRequest

OPEN = "take_away"
PICTURE, ENSEMBLE = "the picture", "the ensemble"


@st.fragment
@notices.guarded
def show(request: GenerateRequest, sight: Sight, rows: Sequence[numbers.Row], about: Mapping[str, object]) -> None:
    """A popover whose content is made when it is opened. request: of the ensemble; rows, about: of the charts."""
    box = st.popover("Take away", icon=":material/download:", width="stretch", key=OPEN, on_change="rerun")
    if not box.open:
        return
    with box:
        contents(request, sight, rows, about)


def contents(request: GenerateRequest, sight: Sight, rows: Sequence[numbers.Row], about: Mapping[str, object]) -> None:
    st.markdown("**This view**")
    st.code(link(), language=None, wrap_lines=True)
    which = st.segmented_control(
        "Showers", [PICTURE, ENSEMBLE], default=ENSEMBLE, key="take_which", required=True,
        help="Files, Python and command line below make the same showers to the photon.",
    )  # fmt: skip
    wanted = asked(request, sight, which == PICTURE)
    stem = f"showers_{wanted.run.replace(':', '_')}_seed{wanted.seed}"
    with st.container(horizontal=True, gap="small"):
        showers = wanted.model_copy(update={"moments": False})
        files.buttons(lambda name: state.engine().export(showers, name), stem, "download")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Pictures** as drawn above")
        saving.buttons()
    with right:
        st.markdown("**Numbers** of the charts")
        st.download_button(
            "means, errors, ratios .csv", lambda: numbers.table(about, rows), f"channels_{stem}.csv", "text/csv",
            key="download_numbers", on_click="ignore", width="stretch",
        )  # fmt: skip
    st.markdown("**Python**")
    st.code(lines.python_lines(wanted), language="python")
    st.markdown("**Command line**")
    st.code(lines.command_line(wanted), language="bash", wrap_lines=True)
    if wanted.walk:
        st.caption("A walk through the noise is Python's: the command line draws the seed's own.")


def asked(request: GenerateRequest, sight: Sight, picture: bool) -> GenerateRequest:
    """The request behind the picture, or behind the ensemble; both walk where the picture does."""
    if not picture:
        return request.model_copy(update={"walk": sight.walk})
    many = sight.shown != "one"
    return request.model_copy(update={"n": sight.of if many else 1, "moments": many, "walk": sight.walk})


def link() -> str:
    """The address that opens this view again."""
    query = urlencode(st.query_params.to_dict())
    return (st.context.url or "").split("?")[0] + (f"?{query}" if query else "")
