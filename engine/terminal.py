"""What the commands share: checked arguments, answers on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from engine.schema import WrongInput

SHOWN_S = 0.5
LINE_S = 10.0
"""Between lines where no terminal can show one that changes."""


def checked(kind: type[Any], values: dict[str, Any]) -> Any:
    """A request from arguments. Raises `WrongInput` with the first one at fault."""
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise WrongInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}") from error


def say(as_json: bool, result: dict[str, Any], text: str) -> None:
    """The answer of a command."""
    print(json.dumps(result) if as_json else text)


def duration(seconds: float) -> str:
    """3 s, 2 min 5 s, 1 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def progress(unit: str) -> Callable[[float, float], None]:
    """A line on stderr: one that changes on a terminal, elsewhere one now and then."""
    begin = shown = time.monotonic()

    def show(done: float, total: float) -> None:
        nonlocal shown
        now, live = time.monotonic(), sys.stderr.isatty()
        if now - shown < (SHOWN_S if live else LINE_S) and (done < total or not live):
            return
        shown = now
        left = f", {duration((now - begin) * (total - done) / done)} left" if 0 < done < total else ""
        of = f" of {total:g} {unit}" if unit else ""
        text = f"{100 * done / max(total, 1e-9):3.0f} %{of}{left}"
        end = "\n" if done >= total or not live else ""
        print(f"\r\x1b[K{text}" if live else text, end=end, file=sys.stderr, flush=True)

    return show
