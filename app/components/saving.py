"""Buttons that have the live panel hand out its pictures: only the browser has drawn them."""

from __future__ import annotations

from typing import Any

from streamlit.components import v2

HTML = """<div class="save" role="group" aria-label="Save the pictures">
  <button type="button" data-format="svg">SVG</button><button type="button" data-format="png">PNG</button></div>"""
CSS = """.save { display: flex; gap: 0.5rem; font-family: var(--st-font); }
button { flex: 1; font: inherit; font-size: 0.9rem; color: var(--st-text-color); background: none; cursor: pointer;
  padding: 0.45rem 0; border: 1px solid var(--st-border-color); border-radius: 3px; }
button:hover { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }"""
JS = """export default function ({ parentElement }) {
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => window.dispatchEvent(
      new CustomEvent("showerscope:save", { detail: button.dataset.format }));
  }
}"""


def buttons() -> Any:
    """SVG and PNG of all pictures of the panel, as they are drawn now."""
    return v2.component("showerscope_saving", html=HTML, css=CSS, js=JS)(key="saving")
