"""What the pages say when something is missing: plain words and the way to mend it, never a traceback."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from app import state
from engine.schema import EngineDown, EngineError, RunInfo

P = ParamSpec("P")
LONGEST_WAIT_S = 30.0


def engine_down(error: EngineError) -> None:
    """The engine is gone and there is nothing kept to show: say so and try again by itself."""
    st.warning(f"**The engine does not answer.** {error}", icon=":material/power_off:")
    retry()


def stale() -> None:
    """Above a picture that is the last good one."""
    st.warning(
        "**Stale.** The engine does not answer; below is the last good picture of this session.",
        icon=":material/history:",
    )
    retry()


def refused(error: EngineError) -> None:
    """The engine answered, and said no."""
    st.error(f"{error}", icon=":material/error:")


def no_model() -> None:
    st.info(
        "**No trained model here yet.** The bundled model was not found in this installation. "
        "Train one on the Train page (a first picture after about a minute), "
        "or put the bundled one back with `git checkout assets/models`.",
        icon=":material/model_training:",
    )
    if train := st.session_state.get(state.PAGES, {}).get("train"):
        st.page_link(train, label="Go to Train", icon=":material/arrow_forward:")


def empty(sentence: str) -> None:
    """Nothing to show, and why."""
    st.info(sentence, icon=":material/info:")


def failed_run(run: RunInfo) -> None:
    """A run that ended with an error: its words, and the checkpoint to go on from."""
    last = run.checkpoints[-1].step if run.checkpoints else None
    kept = f" Its checkpoint at step {last} is kept: **Resume** goes on from there." if last is not None else ""
    st.error(f"**{run.state.capitalize()} at step {run.step}.** {run.error or 'No reason was written.'}{kept}")


@st.fragment(run_every=1.0)
def retry() -> None:
    """Ask for the engine's health after 1, 2, 4 … 30 s; when it is back, run the page again."""
    waiting = st.session_state.setdefault(state.RETRY, {"wait": 1.0, "at": time.monotonic() + 1.0})
    left = waiting["at"] - time.monotonic()
    if left > 0:
        st.caption(f"Trying again in {left:.0f} s.")
        return
    try:
        state.engine().health()
    except EngineError:
        waiting["wait"] = min(LONGEST_WAIT_S, 2 * waiting["wait"])
        waiting["at"] = time.monotonic() + waiting["wait"]
        st.caption(f"Still no answer; trying again in {waiting['wait']:.0f} s.")
        return
    del st.session_state[state.RETRY]
    st.rerun()


def protected(page: Callable[[], None]) -> None:
    """Run a page; what the engine cannot do becomes a sentence."""
    try:
        page()
    except EngineDown as error:
        engine_down(error)
    except EngineError as error:
        refused(error)


def guarded(part: Callable[P, None]) -> Callable[P, None]:
    """For fragments: they rerun without the shell, so each says itself what the engine refused."""

    @wraps(part)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except EngineDown as error:
            st.warning(f"**The engine does not answer.** {error}", icon=":material/power_off:")
        except EngineError as error:
            refused(error)

    return safe
