"""What a lesson is: a question, a control, and a picture with its formula for each value of the control.

One module beside this a lesson, found by its `LESSON`; no Streamlit here, the page draws what a lesson gives.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import app.lessons


# ------------------------------------------------------------------------------------------------------------ controls
@dataclass(frozen=True)
class Slider:
    """A number in equal steps. name: in the link and as the argument of `Lesson.sheet`, no other lesson's."""

    name: str
    label: str
    low: float
    high: float
    value: float
    step: float
    digits: int = 2
    help: str = ""


@dataclass(frozen=True)
class Rungs:
    """A number out of a few, such as equal ratios."""

    name: str
    label: str
    options: tuple[float, ...]
    value: float
    help: str = ""


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    name: str
    label: str
    value: bool
    help: str = ""


@dataclass(frozen=True)
class Piles:
    """Whole numbers in a row, each up to `high`."""

    name: str
    label: str
    value: tuple[int, ...]
    high: int


@dataclass(frozen=True)
class Place:
    """Something to drag over a map. source: whether goods come from it."""

    name: str
    source: bool
    mass: float


@dataclass(frozen=True)
class Board:
    """A square map of side `extent` with places to drag; its value is (x, y) of each."""

    name: str
    label: str
    places: tuple[Place, ...]
    value: tuple[tuple[float, float], ...]
    extent: float
    unit: str
    goods: str


Control = Slider | Rungs | Switch | Piles | Board


# ------------------------------------------------------------------------------------------------------------- lessons
@dataclass(frozen=True)
class Sheet:
    """What a lesson says at a value of its control. formula: LaTeX with the numbers filled in. spec: an ECharts chart
    of `charts.sketch.HEIGHT`. alt: the picture in words. board: what is drawn over the map of a `Board`."""

    formula: str
    spec: dict[str, Any]
    alt: str
    notice: str = ""
    board: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesson:
    """A demonstration. place: its rank in the list. words: two sentences. sheet: of `dark` and of each control's value
    by its name."""

    place: float
    title: str
    question: str
    words: str
    source: str
    controls: tuple[Control, ...]
    sheet: Callable[..., Sheet]

    def first(self) -> dict[str, Any]:
        """The values that the controls open with."""
        return {control.name: control.value for control in self.controls}


@cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson by its place. Raises `ImportError` for a module here without `LESSON`."""
    names = [m.name for m in pkgutil.iter_modules(app.lessons.__path__) if m.name != "base"]
    found: list[Lesson] = []
    for name in names:
        module = importlib.import_module(f"app.lessons.{name}")
        if not isinstance(getattr(module, "LESSON", None), Lesson):
            raise ImportError(f"app/lessons/{name}.py has no LESSON")
        found.append(module.LESSON)
    return tuple(sorted(found, key=lambda lesson: lesson.place))


# ------------------------------------------------------------------------------------------------------------- numbers
def tex(value: float, digits: int = 3) -> str:
    """A number as LaTeX, to so many digits: 0.5, 1.2 · 10⁻⁵, ∞."""
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, power = text.split("e")
    return rf"{mantissa}\cdot10^{{{int(power)}}}"


def signed(value: float, digits: int = 3) -> str:
    """A term of a sum after the first, with its sign."""
    return f"- {tex(-value, digits)}" if value < 0 else f"+ {tex(value, digits)}"


def below(*rows: str) -> str:
    """Formulas below each other, each in the middle."""
    return r"\begin{gathered}" + r"\\[0.35em]".join(rows) + r"\end{gathered}"
