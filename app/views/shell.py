"""The script behind every page: page settings, navigation, header strip, and what to say when the engine is gone."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import state
from app.components import header, notices
from app.views import about, compare, data, generate, latent, learn, manifolds, train

ASSETS = Path(__file__).parents[2] / "assets"

st.set_page_config(page_title="Showerscope", page_icon=str(ASSETS / "logo.svg"), layout="wide")
st.html(Path(__file__).parents[1] / "components" / "style.css")
st.logo(str(ASSETS / "logo.svg"), size="medium")

pages = {
    "generate": st.Page(generate.show, title="Generate", url_path="generate", default=True),
    "train": st.Page(train.show, title="Train", url_path="train"),
    "latent": st.Page(latent.show, title="Latent space", url_path="latent"),
    "compare": st.Page(compare.show, title="Compare", url_path="compare"),
    "data": st.Page(data.show, title="Data", url_path="data"),
    "manifolds": st.Page(manifolds.show, title="Manifolds", url_path="manifolds"),
    "learn": st.Page(learn.show, title="Learn", url_path="learn"),
    "about": st.Page(about.show, title="About", url_path="about"),
}
st.session_state[state.PAGES] = pages
page = st.navigation(list(pages.values()), position="top")

header.show()
notices.protected(page.run)
