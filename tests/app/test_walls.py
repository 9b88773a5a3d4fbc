"""What may be imported where, and settings that the measured speeds rest on."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = sorted((ROOT / "app").rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", APP, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_app_knows_only_the_seam_of_the_engine(path: Path):
    for name in imports(path):
        assert not name.startswith("torch")
        assert not name.startswith("engine") or name.startswith("engine.schema."), name


@pytest.mark.parametrize("path", [p for p in APP if "charts" in p.parts], ids=lambda p: p.name)
def test_charts_are_pure(path: Path):
    for name in imports(path):
        assert not name.startswith(("streamlit", "app.state", "app.client", "app.views", "httpx")), name


@pytest.mark.parametrize("path", [p for p in APP if "lessons" in p.parts], ids=lambda p: p.name)
def test_lessons_are_numbers_and_charts_alone(path: Path):
    for name in imports(path):
        assert not name.startswith(("streamlit", "httpx", "engine")), name
        assert not name.startswith("app") or name.startswith(("app.charts.", "app.lessons")), name


@pytest.mark.parametrize("path", [p for p in APP if "views" not in p.parts])
def test_nothing_below_imports_views(path: Path):
    assert not any(name.startswith("app.views") for name in imports(path))


def test_modules_stay_small():
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 300 for path in APP)


def test_the_apps_process_never_loads_torch():
    names = ("generate", "train", "latent", "compare", "data", "manifolds", "learn", "about")
    pages = ", ".join(f"app.views.{name}" for name in names)
    code = f"import sys, app.main, {pages}\nprint(sorted({{'torch', 'mlflow', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_are_the_measured_and_the_private_ones():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["runner"]["postScriptGC"] is False
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["server"]["fileWatcherType"] == "none"
    assert settings["client"]["showErrorDetails"] == "none"
