"""Import: hand over files, see what was understood, take it back."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, Literal

import pandas as pd
import streamlit as st

from app import state
from app.components import notices, tasks
from app.components.words import clock, plain
from engine.schema import DatasetInfo, EngineError, ImportReport, ImportTask, Overrides, TaskInfo

SLOT = "import"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LARGEST_MB = 200
FILES, CALLED, SUGGESTED, TURN, TITLED = (
    "import_files",
    "import_name",
    "_import_suggested",
    "_import_turn",
    "_importing",
)
FIND_OUT = "find out"
CHOICES = {
    "detector": ("Detector", ("zn", "zp")),
    "axes": ("Axes of a picture", ("x-first", "y-first", "auto")),
    "photons": ("Photons", ("whole", "log1p", "round")),
    "energy_unit": ("Energy unit", ("GeV", "MeV")),
    "mass_unit": ("Mass unit", ("GeV", "MeV")),
    "charge_unit": ("Charge unit", ("e", "e/3")),
}
KINDS = {
    "showers": "showers, a data set",
    "channels": "read-out channels alone: no data set, nothing to train on",
    "particles": "particles alone: no data set, nothing to train on",
}


def show(sets: list[DatasetInfo]) -> None:
    """Form and bar to the left, reports to the right."""
    kept = state.keep("imports", lambda: state.engine().imports())
    if kept.stale:
        notices.stale()
    reports = kept.value
    info = tasks.find(SLOT)
    if info and info.ended and tasks.news(info):
        arrived(info)
    left, right = st.columns([1, 1.9], gap="large")
    with left:
        st.markdown("#### Import showers of your own")
        form({d.name for d in sets} | {r.name for r in reports}, info)
    with right:
        earlier(reports, {d.name for d in sets})


def arrived(info: TaskInfo) -> None:
    """An import has just ended: what it made is known, its files are let go of."""
    if info.state == "finished" and info.report:
        state.forget_data()
        st.session_state[state.REPORT] = info.report.name
        st.session_state[TURN] = st.session_state.get(TURN, 0) + 1
        st.rerun()


def failed(info: TaskInfo | None) -> None:
    if info and info.state in ("failed", "interrupted"):
        st.error(f"**Not imported, nothing was stored.** {plain(info.error)}", icon=":material/error:")
    else:
        tasks.outcome(SLOT, info)


# ------------------------------------------------------------------------------------------------------------- form
def form(taken: set[str], info: TaskInfo | None) -> None:
    """Files, name, options, button; it stays while an import runs, so that a failed one can be tried otherwise."""
    turn = st.session_state.get(TURN, 0)
    running = info is not None and not info.ended
    files = st.file_uploader(
        "One file, or pictures and particles in two", accept_multiple_files=True, key=f"{FILES}_{turn}",
        max_upload_size=LARGEST_MB,
    )  # fmt: skip
    st.caption("npz, npy, HDF5, ROOT, Parquet, CSV or text, CorrVAE pickles, AliceO2 debug output.")
    suggest([f.name for f in files], taken)
    name = st.text_input("Name", key=CALLED, max_chars=64, placeholder="small letters, digits, - and _")
    wrong = wrong_name(name, taken) if files else ""
    if len(files) > 2:
        wrong = "Two files at most: one with pictures, one with particles."
    options_place, button_place = st.columns([1, 1.4])
    with options_place.popover("Options", width="stretch", key="import_options", icon=":material/tune:"):
        options = choose_options()
    pressed = button_place.button(
        "Import", type="primary", width="stretch", key="start_import", icon=":material/upload:",
        disabled=not files or bool(wrong) or running,
    )  # fmt: skip
    if running:
        tasks.bar(SLOT, f"Importing {plain(st.session_state.get(TITLED, ''))}")
    else:
        failed(info)
        if wrong:
            st.caption(wrong)
    st.caption(f"A file of more than {LARGEST_MB} MB goes in from the command line:")
    st.code(f"showerscope data import FILE --name {name or 'N'}", language=None, wrap_lines=True)
    if pressed:
        hand_over([(f.name, f.getvalue()) for f in files], name, options)


def suggestion(file_names: list[str], taken: set[str]) -> str:
    """A name made of the first file's: up to 64 of [a-z0-9_-], not in use."""
    stem = PurePath(file_names[0]).name.split(".")[0].lower()
    base = re.sub(r"[^a-z0-9_-]+", "_", stem).strip("_-")[:60] or "imported"
    name, k = base, 2
    while name in taken:
        name, k = f"{base}_{k}", k + 1
    return name


def suggest(file_names: list[str], taken: set[str]) -> None:
    """Fill in a name for new files, unless one was typed."""
    before = st.session_state.get(SUGGESTED, ("", ""))
    key = "/".join(file_names)
    if key == before[0]:
        return
    typed = st.session_state.get(CALLED, "")
    name = suggestion(file_names, taken) if file_names else ""
    if typed in ("", before[1]):
        st.session_state[CALLED] = name
    st.session_state[SUGGESTED] = key, name


def wrong_name(name: str, taken: set[str]) -> str:
    """What is wrong with a name, in a sentence; empty where nothing is."""
    if not NAME.fullmatch(name):
        return "The name has up to 64 small letters, digits, - and _, and begins with a letter or digit."
    if name in taken:
        return f"`{name}` is in use: choose another name, or remove the earlier import."
    return ""


def choose_options() -> Overrides:
    """What the user says instead of letting the import find out."""
    st.caption("Left at *find out*, the import looks for itself and reports why.")
    said: dict[str, Any] = {}
    places = st.columns(2)
    for k, (field, (title, values)) in enumerate(CHOICES.items()):
        with places[k % 2]:
            value = st.selectbox(title, [FIND_OUT, *values], key=f"import_{field}")
        said[field] = None if value in (FIND_OUT, None) else value
    listed = st.text_input(
        "Columns of a table without header", key="import_columns", placeholder="Energy, Vx, Vy, Vz, …"
    )
    said["columns"] = [c.strip() for c in listed.split(",") if c.strip()] or None
    said["title"] = st.text_input("Title in pickers", key="import_title", max_chars=120)
    said["skip_bad_rows"] = st.checkbox("Leave out bad rows and list them (skip_bad_rows)", key="import_skip")
    return Overrides(**said)


def hand_over(files: list[tuple[str, bytes]], name: str, options: Overrides) -> None:
    """Upload the files and start the import."""
    tasks.forget(SLOT)
    try:
        with st.spinner("Handing the file over …"):
            uploads = [state.engine().upload(file_name, content) for file_name, content in files]
    except EngineError as error:
        notices.refused(error)
        return
    st.session_state[TITLED] = name
    tasks.begin(SLOT, ImportTask(data=name, uploads=uploads, options=options))
    st.rerun()


# ----------------------------------------------------------------------------------------------------------- report
def earlier(reports: list[ImportReport], sets: set[str]) -> None:
    """One report of those there are, the last import's to begin with."""
    st.markdown("#### Imports in this home")
    if not reports:
        notices.empty("Nothing was imported yet. The report of an import appears here: units, axes, refused rows.")
        return
    by_name = {r.name: r for r in reports}
    if st.session_state.get(state.REPORT) not in by_name:
        st.session_state.pop(state.REPORT, None)
    pick, look, drop = st.columns([2.4, 1, 1], vertical_alignment="bottom")
    name = pick.selectbox("Import", list(by_name), key=state.REPORT)
    found = by_name[name or reports[0].name]
    look.button(
        "Show the set", icon=":material/visibility:", key="show_set", width="stretch", disabled=found.name not in sets,
        on_click=show_set, args=(found.name,),
    )  # fmt: skip
    with drop:
        removal(found.name, "report", "stretch")
    report(found)


def show_set(name: str) -> None:
    st.session_state[state.SET] = name
    st.session_state[state.VIEW] = "Showers"


def removal(name: str, where: str, width: Literal["content", "stretch"] = "content") -> None:
    """Delete an import, after a second press."""
    with st.popover("Remove", icon=":material/delete:", key=f"remove_{where}", width=width):
        st.markdown(
            f"Delete **{plain(name)}** from this home? The file it came from is not touched. Models trained on it lose "
            "their simulated neighbours."
        )
        if st.button(f"Delete {name}", type="primary", key=f"remove_{where}_yes"):
            state.engine().remove_data(name)
            state.forget_data()
            for key in (state.SET, state.REPORT):
                if st.session_state.get(key) == name:
                    del st.session_state[key]
            st.rerun()


def report(found: ImportReport) -> None:
    """What was understood, how much was kept, what was refused."""
    names = ", ".join(PurePath(f).name for f in found.files)
    st.markdown(
        f"**{plain(found.name)}**: {KINDS[found.kind]}.  \n{plain(names)}, {plain(found.format)}, "
        f"{found.bytes_written / 1e6:,.1f} MB kept, {clock(found.seconds) if found.seconds >= 1 else 'under 1 s'}"
    )
    counts = {
        "rows read": found.rows_read, "rows kept": found.rows_kept, "primaries": found.primaries,
        "duplicates": found.duplicates, "refused rows": found.refused_total,
    }  # fmt: skip
    with st.container(key="import_counts"):
        for place, (title, value) in zip(st.columns(len(counts)), counts.items(), strict=True):
            place.metric(title, f"{value:,}")
    for warning in found.warnings:
        st.warning(plain(warning), icon=":material/warning:")
    if found.findings:
        st.markdown("**What was understood**")
        st.table(
            understood(found),
            border="horizontal",
            hide_index=True,
            alt="What the import found out, why, and its option",
        )
    if light := found.photons_per_shower:
        st.markdown(
            "**Photons per shower**: "
            + " · ".join(f"{k} {light[k]:,.0f}" for k in ("min", "q1", "median", "q3", "max") if k in light)
            + (f"; {100 * light['empty']:.1f} % of the showers are empty" if "empty" in light else "")
        )
    if found.duplicates:
        rows = ", ".join(f"{r:,}" for r in found.duplicate_rows[:12])
        more = " …" if found.duplicates > 12 else ""
        st.caption(f"Duplicates repeat an earlier shower of the same primary photon by photon; kept. Rows {rows}{more}")
    if found.refused:
        st.markdown("**Refused rows**")
        st.dataframe(
            pd.DataFrame({"row": [r.row for r in found.refused], "reason": [r.reason for r in found.refused]}),
            hide_index=True, height=300 if len(found.refused) > 8 else "auto", key="refused_rows",
            column_config={"row": st.column_config.NumberColumn("row", width=80, format="%d")},
            alt="Refused rows, counted from 1, with the reason of each",
        )  # fmt: skip
        if found.refused_total > len(found.refused):
            st.caption(f"The first {len(found.refused):,} of {found.refused_total:,}.")


def understood(found: ImportReport) -> pd.DataFrame:
    """What, value, why, and how to say otherwise."""
    return pd.DataFrame(
        {
            "what": [key.replace("_", " ") for key in found.findings],
            "value": [plain(f.value) for f in found.findings.values()],
            "why": [plain(f.why) for f in found.findings.values()],
            "to say otherwise": [plain(f.override) or "–" for f in found.findings.values()],
        }
    )
