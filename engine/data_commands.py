"""`showerscope data …`: list, check, import, export, simulate and remove showers."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.schema import DatasetInfo, ImportReport, Overrides, Validation, WrongInput
from engine.terminal import checked, progress, say

if TYPE_CHECKING:
    from engine.shelf import Shelf

SPLITS = ("all", "train", "validation", "test")


# --------------------------------------------------------------------------------------------------------- commands
def list_sets(args: argparse.Namespace) -> int:
    shelf = _shelf(making=False)
    found, others = shelf.infos(), [r for r in shelf.imports() if r.kind != "showers"]
    lines = [_line(info) for info in found]
    lines += [f"{r.name:14} {r.rows_kept:>8} rows of {r.kind} alone  imported" for r in others]
    result = {
        "datasets": [info.model_dump(mode="json") for info in found],
        "others": [report.model_dump(mode="json") for report in others],
    }
    say(args.json, result, "\n".join(lines))
    return 0


def check(args: argparse.Namespace) -> int:
    """A set of the house against Geant4; an import's report; a file as an import would find it."""
    shelf = _shelf()
    if args.target in shelf.names():
        if args.target in {report.name for report in shelf.imports()}:
            return _report(args, next(r for r in shelf.imports() if r.name == args.target))
        from engine.validation import check as validate

        show = progress("")
        found = validate(args.target, args.split, progress=lambda share: show(share, 1.0))
        table = Validation.model_validate(found)
        say(args.json, table.model_dump(mode="json"), "\n".join(_table(table)))
        return 0
    if not Path(args.target).exists():
        raise WrongInput(f"{args.target} is neither a file nor a data set: there are {', '.join(shelf.names())}")
    from engine.imports.intake import import_file

    # a trial import finds all that a real one would
    with tempfile.TemporaryDirectory(prefix=".check-", dir=shelf.home) as trial:
        name = _name_of(Path(args.target))
        report = import_file(args.target, name, trial, options(args.set), progress("rows"))
    return _report(args, report, "would import")


def import_set(args: argparse.Namespace) -> int:
    from engine.imports.intake import import_file

    report = import_file(args.files, args.name, _shelf().home, options(args.set), progress("rows"))
    return _report(args, report, "imported")


def export(args: argparse.Namespace) -> int:
    from engine.export.writers import format_of

    out = Path(args.out)
    format_of(out)
    shelf = _shelf()
    data = shelf.data(args.name)
    rows = np.arange(len(data.showers)) if args.split == "all" else data.rows(args.split)
    shelf.write_rows(args.name, rows, out, progress("showers"))
    result = {"out": str(out), "data": args.name, "showers": len(rows), "bytes": out.stat().st_size}
    say(args.json, result, f"{len(rows)} showers of {args.name} in {out}, {result['bytes'] / 1e6:.1f} MB")
    return 0


def simulate(args: argparse.Namespace) -> int:
    from engine import zdc
    from engine.conditions import conditions_of
    from engine.geant4 import simulation
    from engine.schema import Arrays, Particle

    given = {"pdg": args.pdg, "energy_gev": args.energy, "px_gev": args.px, "py_gev": args.py}
    particle = checked(Particle, given)
    out = None if args.out is None else Path(args.out)
    conditions = conditions_of(particle)
    made = simulation.simulate(
        conditions, args.pdg, args.detector, args.n, args.seed, args.time_limit, progress=progress("showers")
    )
    light = made.showers.sum(axis=(1, 2), dtype=np.int64)
    result = {
        "pdg": args.pdg,
        "energy_gev": args.energy,
        "detector": args.detector,
        "seed": args.seed,
        "n": args.n,
        "photons": light.tolist(),
        "photons_per_gev": _mean(light / args.energy),
        "cpu_seconds": [round(float(s), 4) for s in made.cpu_seconds],
        "cpu_seconds_per_shower": _mean(made.cpu_seconds),
        "seconds": round(made.seconds, 3),
        "label": made.label,
        "notes": list(made.notes),
    }
    if out is not None:
        from engine.export import files

        rows = np.repeat(conditions, args.n, axis=0)
        channels = zdc.channels(made.showers, args.detector)
        arrays = Arrays({"showers": made.showers, "conditions": rows, "channels": channels}, {"label": made.label})
        files.write(out, files.label(arrays, args.n, np.array([args.pdg])))
        result["out"] = str(out)
    mean, cpu = result["photons_per_gev"], result["cpu_seconds_per_shower"]
    lines = [
        f"{args.n} × PDG {args.pdg}, {args.energy:g} GeV in {args.detector.upper()}: photons {light.tolist()}",
        f"{mean['mean']:.3f} ± {mean['error']:.3f} photons/GeV, {cpu['mean']:.2f} ± {cpu['error']:.2f} CPU s a shower",
        made.label,
    ]
    say(args.json, result, "\n".join([*lines, *(f"note: {note}" for note in made.notes)]))
    return 0


def remove(args: argparse.Namespace) -> int:
    _shelf().remove(args.name)
    say(args.json, {"removed": args.name}, f"{args.name} is removed")
    return 0


# ----------------------------------------------------------------------------------------------------- small pieces
def options(pairs: Sequence[str]) -> Overrides:
    """`key=value` texts as an import's options. Raises `WrongInput` naming the one that does not fit."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise WrongInput(f"--set {pair}: give key=value, one of {', '.join(Overrides.model_fields)}")
        values[key] = text.split(",") if key == "columns" else text
    return Overrides.of(values)


def _mean(values: Any) -> dict[str, float]:
    """Mean and its statistical error."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "error": error}


def _name_of(path: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "_", path.stem.lower()).strip("_-")[:60] or "file"


def _line(info: DatasetInfo) -> str:
    of = f" of {info.primaries} primaries" if info.kind == "showers" else ""
    size = f"{info.showers:>8} {info.kind}{of}, {'×'.join(str(n) for n in info.shape)}"
    more = "" if info.ready else f"  (not there yet: {info.making})"
    return f"{info.name:19} {size}  {info.label}{more}"


def _report(args: argparse.Namespace, report: ImportReport, verb: str = "imported") -> int:
    text = "\n".join(report.lines())
    say(args.json, report.model_dump(mode="json"), f"{verb} {text}")
    return 0


def _table(table: Validation) -> list[str]:
    lines = [
        f"{table.data} against {table.reference}",
        f"{table.split}: {table.showers} showers of {table.primaries} primaries; floor: Geant4 against Geant4",
        f"{'':44} {'value':>10} {'Geant4':>10} {'distance':>10} {'floor':>10}  ratio",
    ]
    for row in table.rows:
        shown = [f"{v:10.4g}" if v is not None else f"{'':10}" for v in (row.value, row.reference)]
        ratio = "   –  " if row.ratio is None else f"{row.ratio:6.2f}"
        mark = "" if row.within else f"  above {table.target:g}"
        name = f"{row.name} [{row.unit}]" if row.unit else row.name
        lines.append(f"{name:44} {' '.join(shown)} {row.distance:10.4g} {row.floor:10.4g} {ratio}{mark}")
    return [*lines, f"{table.within} of {table.of} within {table.target:g} × the floor"]


def _shelf(making: bool = True) -> Shelf:
    from engine.shelf import Shelf

    return Shelf(making)


# ------------------------------------------------------------------------------------------------------------ parser
def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The commands below `showerscope data`; alone it lists."""
    top = command("data", list_sets, "data sets: list, check, import, export, simulate, rm")
    actions = top.add_subparsers(dest="action", metavar="ACTION", parser_class=type(top))

    def action(name: str, work: Any, help: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help, description=help)
        made.set_defaults(work=work)
        made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on stdout")
        return made

    action("list", list_sets, "what there is")

    made = action("check", check, "a set against Geant4, or a file as an import would find it")
    made.add_argument("target", metavar="FILE|NAME")
    made.add_argument("--split", choices=SPLITS[1:], default="test", help="primaries to compare at")
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the import")

    made = action("import", import_set, "files of showers, channels or particles as a data set, all or nothing")
    made.add_argument("files", nargs="+", metavar="FILE", help="one file, or pictures and conditions in two")
    made.add_argument("--name", required=True, help="what the set is called")
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help=f"say what the import would find out otherwise: {', '.join(Overrides.model_fields)}",
    )  # fmt: skip

    made = action("export", export, "a data set into a file")
    made.add_argument("name", metavar="NAME")
    made.add_argument("--out", required=True, help="FILE.npz, .parquet, .root or .csv")
    made.add_argument("--split", choices=SPLITS, default="all")

    made = action("simulate", simulate, "real showers of one particle by Geant4, where it is installed")
    made.add_argument("--pdg", type=int, default=2112)
    made.add_argument("--energy", type=float, required=True, help="GeV")
    made.add_argument("--px", type=float, default=0.0, help="GeV")
    made.add_argument("--py", type=float, default=0.0, help="GeV")
    made.add_argument("--n", type=int, default=1, help="showers")
    made.add_argument("--detector", choices=("zn", "zp"), default="zn")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--time-limit", type=float, default=600.0, help="s of wall-clock time")
    made.add_argument("--out", help="FILE.npz, .parquet, .root or .csv of the showers")

    made = action("rm", remove, "delete an imported set")
    made.add_argument("name", metavar="NAME")
