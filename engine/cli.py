"""The command line: `showerscope COMMAND`. Its contract stands in DESIGN "Command line".

Results go to stdout, progress and warnings to stderr. Exit status: 0 done, 2 wrong input (one line that says what is
wrong and how to mend it), 1 anything else. What takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import logging
import pkgutil
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from engine import data_commands, generate_command
from engine.schema import (
    EngineError,
    EvaluateRequest,
    FormField,
    RunInfo,
    TrainSpec,
    WrongInput,
)
from engine.terminal import checked, duration, progress, say

if TYPE_CHECKING:
    from engine.service import Service

TRUE, FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
PROGRESS_S = 2.0


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise WrongInput(f"{message}: see `{self.prog} --help`")


# --------------------------------------------------------------------------------------------------------- commands
def up(args: argparse.Namespace) -> int:
    from engine.up import up as run

    return run(args.host, args.port, not args.no_train)


def engine(args: argparse.Namespace) -> int:
    from engine.server import serve

    serve(args.host, args.port, not args.no_train)
    return 0


def app(args: argparse.Namespace) -> int:
    from engine.up import app as run

    return run(args.host, args.port)


def train(args: argparse.Namespace) -> int:
    from engine.models import base as models

    service = _service()
    model = args.model or (service.status(args.start).model if args.start else TrainSpec().model)
    config = settings(args.set, models.info(models.get(model)).fields)
    values = {"data": args.data, "model": model, "config": config, "seed": args.seed, "name": args.name}
    spec = checked(TrainSpec, values | {"start": args.start})
    info = service.prepare(spec, inline=True)
    print(f"run {info.run_id}", file=sys.stderr)
    return _train_here(service, info.run_id, args.json)


def evaluate(args: argparse.Namespace) -> int:
    from engine.export import report as html

    names = [name for name in args.metrics.split(",") if name] if args.metrics else None
    values = {
        "run": args.run,
        "data": args.data,
        "metrics": names,
        "convention": args.channels,
        "slow": args.classifiers,
    }
    values |= {"reading": args.reading, "threshold": args.threshold, "primaries": args.primaries}
    request = checked(EvaluateRequest, values | {"seed": args.seed, "split": args.split})
    if args.report and not Path(args.report).absolute().parent.is_dir():  # known before the minutes that it takes
        raise WrongInput(f"{args.report}: there is no such folder: make it, or choose another file")
    report, arrays = _service().judged(request, progress(""))
    if args.report:
        _write(args.report, html.page([(report, arrays)]))
    least = f", {report.threshold} photons and more" if report.threshold else ""
    lines = [
        f"{report.run_id} on {report.data}, {report.split}: {report.showers} showers of {report.primaries} primaries, "
        f"channels {report.convention}, light {report.reading}{least}, seed {report.seed}"
    ]
    for name, value in report.metrics.items():
        floor = "" if value.floor is None else f"   floor {value.floor:.4g} ± {value.floor_error or 0:.2g}"
        lines.append(f"{name:18} {value.value:10.4g} ± {value.error:.2g} {value.unit}{floor}")
    for part in report.parts:
        found = part.metrics.get("mae")
        if found and found.floor:
            lines.append(
                f"{part.title:18} {found.value / found.floor:10.2f} × the MAE floor, {part.primaries} primaries"
            )
    lines += [f"batch {t.batch:<12} {t.ms:10.4g} ± {t.error:.2g} ms each" for t in report.timing]
    say(args.json, report.model_dump(mode="json"), "\n".join(lines))
    return 0


def runs(args: argparse.Namespace) -> int:
    service = _service()
    if args.action != "list" and not args.run_id:
        raise WrongInput(f"`showerscope runs {args.action}` needs a run: see `showerscope runs`")
    if args.action == "show":
        info = service.status(args.run_id)
        say(args.json, info.model_dump(mode="json"), info.model_dump_json(indent=1))
    elif args.action == "rm":
        service.remove(args.run_id)
        say(args.json, {"removed": args.run_id}, f"run {args.run_id} is removed")
    elif args.action == "resume":
        info = service.status(args.run_id)
        service.resume(args.run_id)
        if info.state not in ("cancelled", "failed", "interrupted"):
            say(args.json, service.status(args.run_id).model_dump(mode="json"), f"run {args.run_id} goes on")
            return 0
        return _train_here(service, args.run_id, args.json)
    else:
        found = service.runs()
        lines = [
            f"{i.run_id:34} {i.state:11} {i.step:>7}/{i.steps:<7} {i.model:10} {i.data:12} {i.name}" for i in found
        ]
        text = "\n".join(lines) or "no runs yet: `showerscope train`"
        say(args.json, {"runs": [info.model_dump(mode="json") for info in found]}, text)
    return 0


# ----------------------------------------------------------------------------------------------------- small pieces
def settings(pairs: Sequence[str], fields: Sequence[FormField]) -> dict[str, float | int | bool | str]:
    """`key=value` texts as values of the model's form. Raises `WrongInput` naming the one that does not fit."""
    form = {field.name: field for field in fields}
    values: dict[str, float | int | bool | str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name, text = name.strip(), text.strip()
        if not equals:
            raise WrongInput(f"--set {pair}: write key=value")
        if name not in form:
            raise WrongInput(f"--set {name}: no such setting, there are {', '.join(form)}")
        try:
            values[name] = _value(form[name].kind, text)
        except (ValueError, OverflowError) as error:
            raise WrongInput(f"--set {name}={text}: a setting of kind {form[name].kind} is needed") from error
    return values


def _value(kind: str, text: str) -> float | int | bool | str:
    if kind == "bool":
        if text.lower() not in TRUE | FALSE:
            raise ValueError(text)
        return text.lower() in TRUE
    if kind == "int":
        if text.lstrip("+-").isdecimal():
            return int(text)
        if float(text) != int(float(text)):  # 1e3 is a whole number too
            raise ValueError(text)
        return int(float(text))
    return float(text) if kind == "float" else text


def _write(path: str, content: bytes) -> None:
    """Raises `WrongInput` where it cannot be written."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise WrongInput(f"{path} cannot be written ({error.strerror}): choose another file") from error


def _service() -> Service:
    from engine.service import Service

    return Service(making=True)


def bench(args: argparse.Namespace) -> int:
    import engine.bench
    from engine import benchmarks
    from engine.runs import home

    shared = ("bundle", "rows", "figures", "live")
    names = [m.name for m in pkgutil.iter_modules(engine.bench.__path__) if m.name not in shared]
    if args.name not in names:
        raise WrongInput(f"unknown benchmark {args.name!r}: there are {', '.join(names)}")
    run = importlib.import_module(f"engine.bench.{args.name}").run
    given = {"data": args.data, "seeds": args.seeds, "showers": args.showers, "fresh": args.fresh or None}
    given["rows"] = [row.strip() for row in args.rows.split(",")] if args.rows else None
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in inspect.signature(run).parameters:
            raise WrongInput(f"benchmark {args.name} has no option --{name}: leave it out")
    result = run(quick=args.quick, **given)
    at = benchmarks.now()
    result = {"command": _again(args), "made": f"{at:%Y-%m-%dT%H:%M:%SZ}", "quick": args.quick, **result}
    try:
        print(f"record kept in {benchmarks.keep(result, home(), at)}", file=sys.stderr)
    except (OSError, WrongInput) as error:  # what took hours is printed all the same
        print(f"note: no record is kept ({error})", file=sys.stderr)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    if isinstance(args.json, str):
        _write(args.json, f"{text}\n".encode())
    print(json.dumps(result) if args.json is True else text)
    return 0


def _again(args: argparse.Namespace) -> str:
    """The command line that runs the same benchmark."""
    words = ["showerscope", "bench", args.name]
    for name in ("data", "seeds", "rows", "showers"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    return shlex.join(words + ["--quick"] * args.quick)


def _train_here(service: Service, run: str, as_json: bool) -> int:
    """Train in this process, with progress on stderr; Ctrl-C keeps a checkpoint."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    shown = 0.0

    def show(info: RunInfo) -> None:
        nonlocal shown
        if time.monotonic() - shown < PROGRESS_S:
            return
        shown = time.monotonic()
        losses = {n: v for n, v in info.metrics.items() if n.startswith("loss/") and n.endswith("/total")}
        words = [f"step {info.step}/{info.steps}, epoch {info.epoch}/{info.epochs}"]
        words += [f"{name.removesuffix('/total').replace('/', ' ')} {loss:.4g}" for name, loss in losses.items()]
        words += [f"{info.samples_per_s:.0f} showers/s"] if info.samples_per_s else []
        words += [f"{duration(info.eta_s)} left"] if info.eta_s is not None else []
        end = "" if sys.stderr.isatty() else "\n"
        print(("\r\x1b[K" if not end else "") + ", ".join(words), end=end, file=sys.stderr, flush=True)

    info = service.jobs.run_here(run, show, stop)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if info.state != "finished":
        why = f": {info.error}" if info.error else ""
        print(f"{info.state} at step {info.step}{why}", file=sys.stderr)
        print(f"go on with `showerscope runs resume {run}`", file=sys.stderr)
    figures = ", ".join(f"{name} {value:.4g}" for name, value in info.metrics.items() if name.endswith("/total"))
    text = f"run {run} {info.state} after {info.step} steps in {duration(info.seconds)}: {figures}"
    say(as_json, info.model_dump(mode="json"), text)
    return 0 if info.state == "finished" else 1


# ------------------------------------------------------------------------------------------------------------ parser
def parser() -> Parser:
    top = Parser(prog="showerscope", description="Generative models of calorimeter showers: train, see, judge.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, work: Any, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(work=work)
        made.add_argument("--json", action="store_true", help="one JSON object on stdout")
        return made

    for name, work, port, help in (
        ("up", up, 8501, "engine and app; Ctrl-C ends both"),
        ("engine", engine, 8511, "the engine alone"),
        ("app", app, 8501, "the app alone, for the engine at SHOWERSCOPE_ENGINE"),
    ):
        made = command(name, work, help)
        made.add_argument("--host", default="127.0.0.1")
        made.add_argument("--port", type=int, default=port)
        if name != "app":
            made.add_argument("--no-train", action="store_true", help="show models only")

    made = command("train", train, "train a model in the foreground; the run is seen in the app")
    made.add_argument("--data", default="zdc_geant4")
    made.add_argument("--model", help="e2e_sae where nothing is said")
    made.add_argument(
        "--from", dest="start", default="", metavar="RUN", help="start from the weights of a run or bundled:NAME"
    )
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the model")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--name", default="", help="what the run is called")

    generate_command.add(command)

    made = command("evaluate", evaluate, "metrics of a run on held-out primaries, with the simulation's own floor")
    made.add_argument("--run", required=True, help="run id or bundled:NAME")
    made.add_argument("--data", help="another data set than the run's own")
    made.add_argument("--metrics", help="names, comma between")
    made.add_argument("--channels", default="paper", help="read-out convention")
    made.add_argument("--split", choices=("train", "validation", "test"), default="test")
    made.add_argument("--reading", choices=("drawn", "raw", "truncated"), default="drawn", help="of generated light")
    made.add_argument("--threshold", type=int, default=0, help="photons that a primary's replicas hold on average")
    made.add_argument("--primaries", type=int, help="at most so many, the first of the split")
    made.add_argument("--classifiers", action="store_true", help="those too that take minutes")
    made.add_argument("--report", metavar="FILE", help="one HTML page that stands alone")
    made.add_argument("--seed", type=int, default=0)

    made = command("runs", runs, "list, show, resume or remove runs")
    made.add_argument("action", nargs="?", choices=("list", "show", "resume", "rm"), default="list")
    made.add_argument("run_id", nargs="?", metavar="RUN")

    data_commands.add(command)

    made = commands.add_parser("bench", help="benchmarks, seeded", description="benchmarks, seeded")
    made.set_defaults(work=bench)
    made.add_argument("name", metavar="NAME")
    made.add_argument("--quick", action="store_true", help="fewer repetitions")
    made.add_argument("--data", help="data set to train on (table1, mnist); of toys several, comma between")
    made.add_argument("--seeds", type=int, help="trainings of each row (table1, mnist, toys)")
    made.add_argument("--rows", help="rows or models to take instead of all, comma between (table1, mnist, toys)")
    made.add_argument("--fresh", action="store_true", help="train again what was trained before (table1, mnist, toys)")
    made.add_argument("--showers", type=int, help="training showers that each row sees (table1, mnist, toys)")
    made.add_argument(
        "--json", nargs="?", const=True, metavar="FILE", help="one JSON object on stdout, or into FILE too"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        args = parser().parse_args(arguments)
        return args.work(args)
    except WrongInput as error:
        print(f"showerscope: {error}", file=sys.stderr)
        return 2
    except EngineError as error:
        print(f"showerscope: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
