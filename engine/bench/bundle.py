"""Make a finished run the project's bundled model: weights with their provenance, the record of what it reaches, and
the README's table.

    python -m engine.bench.bundle RUN [--title "a name"]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from engine.bench import bundled
from engine.bench.rows import commit
from engine.models import base as models
from engine.schema import EngineError, RunInfo, WrongInput
from engine.service import Service

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "assets" / "reference" / "bundled.json"
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)


def bundle(service: Service, run: str, title: str, trained_at: str) -> Path:
    """Write the last weights of a finished run to `assets/models`. Raises `WrongInput` for a run that has not ended."""
    info: RunInfo = service.status(run)
    if info.state != "finished":
        raise WrongInput(f"run {run} is {info.state}: only a finished one can be bundled")
    model, meta = models.load(service.store.weights(run))
    path = bundled.FOLDER / f"{info.data}_{info.model}.safetensors"
    first = {}
    if start := info.provenance.get("start"):
        before = service.status(start)
        first = {"start": before.provenance["command"], "start_seconds": f"{before.seconds:.0f}"}
    said = {
        **{name: value for name, value in meta.items() if name not in ("config", "space", "model", "format")},
        **first,
        "name": title,
        "command": info.provenance["command"],
        "commit": trained_at,
        "created": datetime.now(UTC).date().isoformat(),
        "train_seconds": f"{info.seconds:.0f}",
        "parameters": str(info.parameters),
    }
    models.save(model, path, **said)
    return path


def write_record() -> None:
    """Judge what is bundled, keep the JSON, print its first table into the README."""
    result = bundled.run()
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    models.write_atomic(RECORD, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    table = next(iter(result["tables"].values()))
    text = README.read_text(encoding="utf-8")
    models.write_atomic(README, BLOCK.sub(lambda m: f"{m[1]}{table}\n{m[2]}", text).encode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", help="id of a finished run")
    parser.add_argument("--title", default="bundled e2e SAE, ZN Geant4")
    parser.add_argument(
        "--commit", default=commit(strict=True), help="the commit that the run was trained at, if not this one"
    )
    given = parser.parse_args()
    try:
        print(bundle(Service(), given.run, given.title, given.commit))
        write_record()
    except EngineError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
