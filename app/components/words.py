"""Numbers and foreign text as a page writes them."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """Text whose signs are not Markdown's: formulas hold _ and *, file names anything."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$-])", r"\\\1", text)


def clock(seconds: float) -> str:
    """A duration as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def measured(value: float, error: float | None, unit: str = "") -> str:
    """A value with its error, both to the error's second digit; without an error to three digits."""
    tail = f" {unit}" if unit else ""
    if error is None or not error > 0:
        return f"{value:.3g}{tail}" if abs(value) < 1000 else f"{value:,.0f}{tail}"
    digits = 1 - int(f"{error:e}".split("e")[1])
    value, error, shown = round(value, digits), round(error, digits), max(0, digits)
    return f"{value:,.{shown}f} ± {error:,.{shown}f}{tail}"
