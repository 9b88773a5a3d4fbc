"""`showerscope generate`: showers into a file, however many."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.schema import PARTICLE_OPTIONS, BulkRequest, Particle, Spectrum, WrongInput
from engine.terminal import checked, progress, say

if TYPE_CHECKING:
    from engine.datasets.base import Dataset
    from engine.sources import Source

SPECTRUM = {"energy_min": "minimum_gev", "energy_max": "maximum_gev", "index": "index"}


def generate(args: argparse.Namespace) -> int:
    from engine import bulk
    from engine.export.writers import format_of
    from engine.service import Service

    out = Path(args.out)
    format_of(out)
    values = {"run": args.run, "step": args.step, "n": args.n, "seed": args.seed}
    request = checked(BulkRequest, values | {"convention": args.channels, "light": args.light})
    service = Service(making=True)
    rows = _source(args, request, service.shelf.data(service.status(args.run).data))
    source = service.generator(request.run, request.step)
    meta = source.said(rows.shown, request.convention, request.light, request.seed, rows.drawn)
    for warning in meta["warnings"]:
        print(f"note: {warning}", file=sys.stderr)
    bulk.needs(source.data, rows.showers, request.light, out.absolute().parent)
    made = bulk.write(service.host, source, rows, out, meta, progress("showers"))
    each = made["ms"] / rows.showers
    result = {"out": str(out), "showers": rows.showers, **made}
    say(args.json, result, f"{rows.showers} showers in {out}, {each:.3g} ms each, seed {args.seed}")
    return 0


def _source(args: argparse.Namespace, request: BulkRequest, data: Dataset) -> Source:
    """The particles that are asked for. Raises `WrongInput` for options that exclude each other."""
    from engine.export import files
    from engine.sources import Table, of_particle, spectrum_of

    given = [name for name in PARTICLE_OPTIONS if getattr(args, name) is not None]
    bounds = [name for name in SPECTRUM if getattr(args, name) is not None]
    if bounds and args.spectrum != "power":
        raise WrongInput(f"{_option(bounds[0])} belongs to --spectrum power: leave it out, or ask for that")
    if args.conditions and (given or args.spectrum):
        other = _option(given[0]) if given else "--spectrum"
        raise WrongInput(f"{other} and --conditions exclude each other: leave one out")
    if given and args.spectrum == "data":
        raise WrongInput(f"{_option(given[0])} and --spectrum data exclude each other: leave one out")
    if args.conditions:
        table, pdg = files.read_conditions(Path(args.conditions), data.columns)
        return Table(table, request.n, pdg)
    if args.spectrum == "data":
        return spectrum_of(Spectrum(), data, request.n, request.seed)
    if data.kind != "showers":
        if given or args.spectrum:
            other = _option(given[0]) if given else "--spectrum power"
            raise WrongInput(f"{other} is for showers: {data.name} holds {data.kind}")
        # n of each class
        return Table(np.arange(data.space.classes, dtype=np.float64)[:, None], request.n)
    particle = checked(Particle, {PARTICLE_OPTIONS[name]: getattr(args, name) for name in given})
    if not args.spectrum:
        return of_particle(particle, request.n)
    ends = {SPECTRUM[name]: getattr(args, name) for name in bounds}
    spectrum = checked(Spectrum, {"law": "power", "particle": particle, **ends})
    return spectrum_of(spectrum, data, request.n, request.seed)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    made = command("generate", generate, "draw showers into a file, however many")
    made.add_argument("--run", required=True, help="run id or bundled:NAME")
    made.add_argument("--step", type=int, help="a checkpoint of the run; the newest where nothing is said")
    made.add_argument("--n", type=int, default=1, help="showers a particle, or of a spectrum in all")
    made.add_argument("--pdg", type=int)
    for name, unit in (("energy", "GeV"), ("px", "GeV"), ("py", "GeV"), ("vx", "cm"), ("vy", "cm"), ("vz", "cm")):
        made.add_argument(f"--{name}", type=float, help=unit)
    made.add_argument("--side", type=int, choices=(-1, 1), help="sign of pz")
    made.add_argument(
        "--conditions", metavar="FILE", help="npz, parquet or csv with the columns of the data: nine for showers"
    )
    made.add_argument(
        "--spectrum", choices=("data", "power"),
        help="particles drawn: training primaries, or the particle above at energies by dN/dE ~ E^-index",
    )  # fmt: skip
    made.add_argument("--energy-min", type=float, help="GeV; 10 where nothing is said")
    made.add_argument("--energy-max", type=float, help="GeV; 5000 where nothing is said")
    made.add_argument("--index", type=float, help="of the power law; 1, uniform in log E, where nothing is said")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--light", choices=("poisson", "expected"), default="poisson")
    made.add_argument("--channels", default="paper", help="read-out convention")
    made.add_argument("--out", required=True, help="FILE.npz, .parquet, .root or .csv")
