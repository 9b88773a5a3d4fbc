"""Importing: files of any known format become a set of the store, all or nothing, streamed in blocks."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import zdc
from engine.imports import base, conditions, pictures, store
from engine.imports.base import Part, Table
from engine.schema import Facts, Finding, ImportReport, Overrides, RefusedRow, WrongInput

KEPT_REFUSALS = 1000
SIBLINGS = (("responses", "particles"), ("data_", "data_cond_"))
"""Pictures and conditions that travel as two files: how the second is called."""
Progress = Callable[[int, int], None]


def import_file(
    paths: str | Path | Sequence[str | Path],
    name: str,
    home: str | Path,
    overrides: Overrides | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import one file, or pictures and conditions in two, as the set `name` of the store in `home`.

    progress: called with rows done and rows in total. Raises `WrongInput` with one line that names the place; the
    store is then as before.
    """
    begun = time.monotonic()
    options = Overrides.of(overrides)
    folder = store.free(Path(home), name)
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    if not files:
        raise WrongInput("no file to import")
    part = _joined([base.read(path) for path in _with_siblings(files)])
    facts = _told(options, part.declared)
    report = ImportReport(
        name=name,
        kind="showers" if part.images else "channels" if part.channels is not None else "particles",
        format=part.format,
        files=[f.name for f in part.files],
        rows_read=0,
        rows_kept=0,
        warnings=list(part.notes),
    )
    found = conditions.resolve(part.table, facts) if part.table else None
    with store.scratch(folder) as beside:
        if part.images is not None:
            _write_showers(beside, part, found, facts, options, report, progress or (lambda done, total: None))
        else:
            _write_tables(beside, part, found, options, report)
        report.bytes_written = sum(f.stat().st_size for f in beside.iterdir())
        report.seconds = round(time.monotonic() - begun, 3)
        manifest = {"version": store.VERSION, "title": options.title, "report": report.model_dump()}
        (beside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        try:
            beside.rename(folder)
        except OSError as error:
            raise WrongInput(f"the name {name!r} was taken meanwhile: choose another") from error
    return report


# ------------------------------------------------------------------------------------------------------------ inside
def _with_siblings(files: list[Path]) -> list[Path]:
    """A single file of pictures brings the file of conditions that lies beside it, and the other way round."""
    if len(files) > 1:
        return files
    path = files[0]
    for one, other in SIBLINGS:
        for a, b in ((one, other), (other, one)):
            if path.name.startswith(a) or a in path.name.split(".")[0].split("_"):
                sibling = path.with_name(path.name.replace(a, b, 1))
                if sibling != path and sibling.exists():
                    return [path, sibling]
    return files


def _joined(parts: list[Part]) -> Part:
    """One part of several files: at most one with pictures or channels, at most one with conditions."""
    if len(parts) == 1:
        whole = parts[0]
    else:
        for kind in ("images", "channels", "table"):
            having = [p.files[0] for p in parts if getattr(p, kind) is not None]
            if len(having) > 1:
                raise WrongInput(f"{having[0]} and {having[1]} both hold {kind}: give one of each")
        whole = Part(
            format=" + ".join(dict.fromkeys(p.format for p in parts)),
            files=[f for p in parts for f in p.files],
            images=next((p.images for p in parts if p.images is not None), None),
            table=next((p.table for p in parts if p.table is not None), None),
            channels=next((p.channels for p in parts if p.channels is not None), None),
            convention="".join(p.convention for p in parts),
            declared=next((p.declared for p in parts if p.declared != Facts()), Facts()),
            notes=[n for p in parts for n in p.notes],
        )
    if whole.images is not None and whole.table is None:
        raise WrongInput(
            f"{whole.images.place}: showers without conditions: give the file of particles too "
            "(data_nonrandom_particles.npz beside data_nonrandom_responses.npz)"
        )
    return whole


def _told(options: Overrides, declared: Facts) -> Facts:
    """What the user says before what the file declares."""
    said = {k: v for k in Facts.model_fields if (v := getattr(options, k)) is not None}
    return declared.model_copy(update=said)


def _refuse(table: Table, refused: dict[int, str], options: Overrides, report: ImportReport, place: str) -> None:
    """Note refused rows, or stop the import at the first of them."""
    if refused and not options.skip_bad_rows:
        first = min(refused)
        others = len(refused) - 1
        more = f", and {others} more row{'s' if others > 1 else ''}" if others else ""
        raise WrongInput(
            f"{place}, {table.unit} {first + table.first}: {refused[first]}{more}: mend the file, or leave such rows "
            "out with skip_bad_rows"
        )
    report.refused_total += len(refused)
    for row in sorted(refused)[: KEPT_REFUSALS - len(report.refused)]:
        report.refused.append(RefusedRow(row=row + table.first, reason=refused[row]))


def _check_lengths(one: int, other: int, place: str, table: Table) -> None:
    if one != other:
        raise WrongInput(f"{place} has {one} rows, {table.place} has {other}: they must be the same particles")


def _write_showers(
    scratch: Path,
    part: Part,
    found: conditions.Conditions | None,
    facts: Facts,
    options: Overrides,
    report: ImportReport,
    progress: Progress,
) -> None:
    images, table = part.images, part.table
    assert images is not None
    assert table is not None
    assert found is not None
    layout = pictures.layout(images, facts)
    _check_lengths(images.rows, len(found.values), images.place, table)
    _refuse(table, found.refused, options, report, table.place)
    detector = zdc.DETECTORS[layout.detector]
    free = shutil.disk_usage(scratch).free
    if (need := images.rows * detector.shape[0] * detector.shape[1] * 2) > free:
        raise WrongInput(f"{images.place}: {need / 1e9:.1f} GB needed beside {scratch}, {free / 1e9:.1f} are free")
    photons, evidence = pictures.photons(images.place, facts), pictures.Evidence(layout.detector)
    repeats, keep = pictures.Repeats(), np.ones(images.rows, bool)
    keep[list(found.refused)] = False
    sums: list[NDArray[np.int64]] = []
    out, start = store.GrowingNpy(scratch / "showers.npy", detector.shape, np.uint16, images.rows), 0
    rows = Table(images.place)
    try:
        for block in images.blocks():
            stop = start + len(block)
            counts, refused = photons.counts(layout.turn(block))
            refused = {start + r: why for r, why in refused.items() if keep[start + r]}
            _refuse(rows, refused, options, report, images.place)
            keep[list(refused)] = False
            kept = np.flatnonzero(keep[start:stop])
            evidence.add(counts[kept], found.values[start + kept])
            settled = pictures.settle(layout, facts, evidence, images.place, last=start > 0)
            if settled is not layout:
                layout, counts = settled, counts.transpose(0, 2, 1)
                evidence.add(counts[kept], found.values[start + kept])
            counts = np.ascontiguousarray(counts[kept])
            out.append(counts)
            sums.append(counts.sum(axis=(1, 2), dtype=np.int64))
            repeats.add(counts, found.primary_id[start + kept], lambda i, s=start, k=kept: s + int(k[i]) + 1)
            start = stop
            progress(start, images.rows)
        _check_lengths(start, images.rows, f"{images.place} (as read)", table)
        out.close()
    finally:
        out.file.close()
    report.rows_read, report.rows_kept = images.rows, int(keep.sum())
    if not report.rows_kept:
        raise WrongInput(f"{images.place}: every row is refused; the first: {report.refused[0].reason}")
    axes, warnings = pictures.axes_finding(layout, facts, evidence)
    found_detector = Finding(value=layout.detector, why=layout.why, override="detector=zn or zp")
    report.findings = {"detector": found_detector, "axes": axes, **found.findings, **photons.findings(images.dtype)}
    report.warnings += found.warnings + warnings
    report.duplicates, report.duplicate_rows = repeats.total, repeats.rows
    total = np.concatenate(sums)
    quartiles = np.quantile(total, (0, 0.25, 0.5, 0.75, 1))
    report.photons_per_shower = dict(zip(("min", "q1", "median", "q3", "max"), map(float, quartiles), strict=True))
    report.photons_per_shower["empty"] = float((total == 0).mean())
    _write_conditions(scratch, found, keep, report)


def _write_conditions(
    scratch: Path, found: conditions.Conditions, keep: NDArray[np.bool_], report: ImportReport
) -> None:
    report.primaries = len(np.unique(found.primary_id[keep]))
    arrays = {"conditions": found.values, "pdg": found.pdg, "primary_id": found.primary_id, "replica": found.replica}
    for name, array in arrays.items():
        np.save(scratch / f"{name}.npy", array[keep])


def _write_tables(
    scratch: Path, part: Part, found: conditions.Conditions | None, options: Overrides, report: ImportReport
) -> None:
    """Channels with or without conditions, or conditions alone."""
    place = str(part.files[0])
    if part.channels is None and found is None:
        raise WrongInput(f"{place}: neither showers, channels nor conditions in this file")
    rows = len(part.channels) if part.channels is not None else len(found.values) if found else 0
    keep = np.ones(rows, bool)
    if found is not None and part.table is not None:
        _check_lengths(rows, len(found.values), place, part.table)
        _refuse(part.table, found.refused, options, report, part.table.place)
        keep[list(found.refused)] = False
        report.findings, report.warnings = dict(found.findings), report.warnings + found.warnings
        _write_conditions(scratch, found, keep, report)
    if part.channels is not None:
        np.save(scratch / "channels.npy", part.channels[keep])
        column = "first" if part.convention == "o2" else "last"
        why = f"the {column} column of {part.files[0].name} is the common photomultiplier"
        report.findings["convention"] = Finding(value=part.convention, why=why)
    report.rows_read, report.rows_kept = rows, int(keep.sum())
