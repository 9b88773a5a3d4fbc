"""Memory and speed of showers in bulk: what a process holds beyond its model, for few showers and for many."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.bench.bundled import FOLDER
from engine.runs import BUNDLED

LIMIT_MB = 500.0
CASES = (("parquet", "poisson"), ("root", "poisson"), ("parquet", "expected"))


def run(quick: bool = False, showers: int | None = None) -> dict[str, Any]:
    """MB above the loaded model, bytes and milliseconds a shower by format, light and number, each in a process of its
    own; flat where the larger number takes no more than the smaller one. `quick`: a tenth of the showers."""
    many = showers or (50_000 if quick else 500_000)
    rows = []
    for format, light in CASES:
        for n in (many // 5, many) if light == "poisson" else (many // 20, many // 5):  # 7 kB each
            command = [sys.executable, "-m", "engine.bench.memory", format, light, str(n)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rows.append(json.loads(answer))
    return {
        "bench": "memory",
        "limit_mb": LIMIT_MB,
        "within": all(row["memory_mb"] <= LIMIT_MB for row in rows),
        "bulks": rows,
    }


def one(format: str, light: str, n: int) -> dict[str, Any]:
    """A bulk of neutrons at all energies in this process, thrown away at its end."""
    from engine import bulk
    from engine.schema import BulkRequest, Spectrum
    from engine.service import Service
    from engine.sources import source_of

    service = Service()
    values: dict[str, Any] = {"format": format, "light": light, "spectrum": Spectrum(law="power")}
    request = BulkRequest(run=f"{BUNDLED}{min(FOLDER.glob('*.safetensors')).stem}", n=n, **values)
    source = service.generator(request.run)
    rows = source_of(request, source.data, None)
    with tempfile.TemporaryDirectory(dir=service.home) as folder:
        name = f"showers.{format}"
        made = bulk.run(Path(folder), service.host, source, rows, request, name, lambda done, total: None)
    service.close()
    return {
        "format": format,
        "light": light,
        "showers": n,
        "memory_mb": round(made.memory_mb, 1),
        "bytes_per_shower": round(made.bytes / n, 1),
        "ms_per_shower": round(1000 * made.seconds / n, 4),
    }


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
