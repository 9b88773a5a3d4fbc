"""The house's walls: who may import whom (DESIGN), read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGINE_LAYERS = [
    {"cli", "bench"},
    {"up", "data_commands", "generate_command", "terminal"},
    {"server"},
    {"service"},
    {
        "jobs",
        "job",
        "trainer",
        "host",
        "runs",
        "latent",
        "manifolds",
        "points",
        "regions",
        "coverage",
        "conditions",
        "export",
        "tasks",
        "work",
        "shelf",
        "benchmarks",
        "judge",
        "evaluation",
        "rack",
        "walk",
        "generation",
        "scan",
        "sources",
        "bulk",
        "parts",
    },
    {"train", "sets", "once", "imports", "validation"},
    {"models", "autoencoder", "adversarial", "flow", "datasets", "metrics", "geant4"},
    {"modality"},
    {"config", "decoders", "features", "light"},
    {"nets", "losses", "sinkhorn", "fused", "lenet", "showers", "observables", "manifold", "classifier"},
    {"spaces", "zdc", "threads"},
    {"schema"},
]
APP_LAYERS = [{"main"}, {"views"}, {"lessons"}, {"charts", "components", "state", "client", "tickets"}]
LEVEL = {name: level for level, names in enumerate(ENGINE_LAYERS) for name in names}
APP_LEVEL = {name: level for level, names in enumerate(APP_LAYERS) for name in names}


def modules(package: str) -> list[Path]:
    return [p for p in sorted((ROOT / package).rglob("*.py")) if p.name != "__init__.py"]


def imports(path: Path, everywhere: bool = True) -> set[str]:
    """Dotted names that a file imports, `from a import b` as a.b; `everywhere` counts those inside functions too."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    """The layer that a file stands in: its module, or the folder below the package."""
    return path.relative_to(ROOT).with_suffix("").parts[1]


@pytest.mark.parametrize("path", modules("engine"), ids=lambda p: str(p.relative_to(ROOT)))
def test_engine_imports_only_downwards(path):
    own = part(path)
    assert own in LEVEL, f"{own} has no layer: give it one in this test and in DESIGN's sense"
    for name in imports(path):
        package, _, rest = name.partition(".")
        assert package != "app", f"{path} imports the app"
        if package == "engine" and rest:
            target = rest.split(".")[0]
            if target in LEVEL and target != own:
                assert LEVEL[target] >= LEVEL[own], f"{own} imports {target}, which stands above it"


@pytest.mark.parametrize("path", modules("app"), ids=lambda p: str(p.relative_to(ROOT)))
def test_app_knows_of_the_engine_only_its_schema(path):
    own = part(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in {"torch", "mlflow", "geomloss", "openTSNE"}, f"{path} imports {top}"
        if top == "engine":
            assert rest.split(".")[0] == "schema", f"{path} imports {name}"
        if top == "app" and rest:
            target = rest.split(".")[0]
            if target in APP_LEVEL and target != own:
                assert APP_LEVEL[target] >= APP_LEVEL[own], f"{own} imports {target}, which stands above it"


@pytest.mark.parametrize("path", modules("app/lessons"), ids=lambda p: p.stem)
def test_lessons_know_of_the_app_only_its_charts(path):
    used = {name.split(".")[1] for name in imports(path) if name.startswith("app.")}
    assert used <= {"charts", "lessons"}
    assert not any(name.split(".")[0] in {"streamlit", "engine"} for name in imports(path))


def test_no_two_modules_import_each_other():
    graph = {}
    for path in modules("engine") + modules("app"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[name] = imports(path, everywhere=False)
    known = {n: {t for t in graph if t != n and any(i == t or i.startswith(t + ".") for i in graph[n])} for n in graph}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' → '.join((*trail, name))}"
        if name not in done:
            for target in known[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in known:
        visit(name, ())


def test_the_seam_and_the_apps_parts_load_without_torch():
    code = (
        "import sys, engine.schema, app.client, app.state\n"
        "heavy = {'torch', 'mlflow', 'geomloss', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_package_inits_hold_no_code():
    for path in [*ROOT.glob("app/**/__init__.py"), *ROOT.glob("engine/**/__init__.py")]:
        body = ast.parse(path.read_text()).body
        assert all(isinstance(node, ast.Expr | ast.ImportFrom) for node in body), f"{path} holds code"
