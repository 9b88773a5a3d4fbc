"""Records of benchmarks: kept in `$SHOWERSCOPE_HOME/bench`, read from there and from `assets/reference`, and the
published tables that stand beside them."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.job import write_text
from engine.once import Once
from engine.schema import Benchmark, BenchmarkRow, BrokenGenerator, PublishedRow

logger = logging.getLogger("showerscope.benchmarks")

REFERENCE = Path(__file__).parents[1] / "assets" / "reference"
PUBLISHED = "published_"
TITLES = {"table1": "Table 1, ZDC", "mnist": "Table 1, MNIST"}
"""Of benchmarks whose record does not say one."""
CONVENTIONS = {"table1": "paper"}
"""Of records that were kept before they said so."""
VERSIONS = ("torch",)


# ----------------------------------------------------------------------------------------------------------- writing
def keep(result: dict[str, Any], home: Path, at: datetime) -> Path:
    """Leave a benchmark's result in this home, named by benchmark, data and time."""
    folder = home / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    data = result.get("budget", {}).get("data", "")
    stem = "-".join(part for part in (result["bench"], data, f"{at:%Y%m%dT%H%M%SZ}") if part)
    path = folder / f"{stem}.json"
    write_text(path, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return path


def now() -> datetime:
    return datetime.now(UTC)


# ----------------------------------------------------------------------------------------------------------- reading
def records(home: Path, once: Once, reference: Path = REFERENCE) -> list[Benchmark]:
    """Records of the house, those of showers first and of the rest by name, then those of this home, newest first. A
    file is read once a version of it."""
    house = [path for path in reference.glob("*.json") if not path.stem.startswith(PUBLISHED)]
    house = sorted(house, key=lambda path: (not path.stem.startswith("table1"), path.stem))
    mine = sorted((home / "bench").glob("*.json"), key=_modified, reverse=True)
    return [record for path in (*house, *mine) for record in _once(once, path, path in house)]


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed since it was listed
        return 0.0


def _once(once: Once, path: Path, house: bool) -> list[Benchmark]:
    return once.get(("benchmark", path, _modified(path)), lambda: read_all(path, house))


def read(path: Path, house: bool = False) -> Benchmark | None:
    """The record in a file of one; None where it holds something else, or is damaged, which is logged."""
    found = read_all(path, house)
    return found[0] if len(found) == 1 else None


def read_all(path: Path, house: bool = False) -> list[Benchmark]:
    """The record in a file, or its `records`, of a benchmark on several sets; none where it holds something else, or is
    damaged, which is logged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_nothing, parse_float=_finite)
        if not isinstance(raw, dict) or "bench" not in raw or "figures" in raw:  # those are of speed, not of models
            return []
        if "rows" in raw:
            return [_record(raw, path.stem, house)]
        shared = {name: raw[name] for name in ("command", "made", "quick") if name in raw}
        several = raw.get("records", [])
        return [_record(shared | one, f"{path.stem}/{one['budget']['data']}", house) for one in several]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:  # ValidationError is a ValueError
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        logger.warning("%s is left out: it is no record of a benchmark (%s)", path, why)
        return []


def _nothing(_: str) -> None:
    """NaN and infinities: a training that diverged has no figure."""


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _record(raw: dict[str, Any], name: str, house: bool) -> Benchmark:
    budget, rows = raw.get("budget") or {}, [_row(row) for row in raw["rows"]]
    seeds = sorted({seed for row in rows for seed in row.seeds})
    command = raw.get("command") or ""
    return Benchmark(
        name=name if house else f"home:{name}",
        bench=raw["bench"],
        title=raw.get("title") or TITLES.get(raw["bench"]) or raw["bench"],
        data=budget.get("data") or "",
        label=raw.get("label") or raw.get("data") or "",
        budget=budget,
        seeds=raw.get("seeds") or seeds,
        convention=raw.get("convention", CONVENTIONS.get(raw["bench"], "")),
        commit=raw.get("commit") or "",
        command=command,
        quick=raw.get("quick", "--quick" in command.split()),
        made=raw.get("made") or "",
        versions={name: raw[name] for name in VERSIONS if raw.get(name)},
        house=house,
        again=raw.get("again") or {},  # pyright: ignore[reportArgumentType]
        missing=raw.get("missing") or [],
        rows=rows,
    )


def _row(raw: dict[str, Any]) -> BenchmarkRow:
    metrics = {
        name: found
        for name, found in raw.get("metrics", {}).items()
        if found["value"] is not None and found["error"] is not None
    }
    parameters = raw.get("parameters")
    return BenchmarkRow.model_validate(
        {**raw, "metrics": metrics, "parameters": None if parameters is None else round(parameters)}
    )


# --------------------------------------------------------------------------------------------------------- published
def published(reference: Path = REFERENCE) -> list[PublishedRow]:
    """Rows of the published tables. What a row prints besides names is a figure, by the name of its metric."""
    rows: list[PublishedRow] = []
    for path in sorted(reference.glob(f"{PUBLISHED}*.json"), key=lambda p: (p.stem != f"{PUBLISHED}zdc", p.stem)):
        table = json.loads(path.read_text(encoding="utf-8"))
        bench = table.get("bench", path.stem.removeprefix(PUBLISHED))
        rows += [_published(row, bench, table["source"]) for row in table["rows"]]
    return rows


def _published(row: dict[str, Any], bench: str, source: str) -> PublishedRow:
    known = {name: value for name, value in row.items() if name in PublishedRow.model_fields}
    rest = {name: value for name, value in row.items() if name not in known and isinstance(value, int | float)}
    others = {name: value for name, value in rest.items() if not name.endswith("_std")}
    floor = row["model"].lower().startswith("original")
    return PublishedRow(**{"bench": bench, "source": source, "floor": floor, "others": others, **known})


# ------------------------------------------------------------------------------------------------------------- broken
def broken(reference: Path = REFERENCE) -> list[BrokenGenerator]:
    """Which metric catches which broken generator; empty where there is no record."""
    try:
        raw = json.loads((reference / "broken.json").read_text(encoding="utf-8"))
        return [BrokenGenerator.model_validate(row) for row in raw["generators"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("the record of broken generators cannot be read: %s", str(error).splitlines()[0])
        return []
