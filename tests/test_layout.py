"""Where files lie: in small folders, short, with a test file for each module, and no test that imports another."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from statistics import median

import pytest

import lljupyter

PACKAGE = Path(lljupyter.__file__).parent
TESTS = Path(__file__).parent
VIEWER = TESTS.parent / "js" / "src"

LONGEST = 350  # lines of a file
MEDIAN = 160  # lines of half of the files in a tree
MOST_FILES = 14  # of code in a folder

# Modules that no test file is named after and none imports, and where what they do is tested.
TESTED_IN = {
    "compute/prepare/checks.py": "compute/test_surfaces.py",
    "compute/prepare/hessian.py": "compute/test_convexity.py",
    "compute/prepare/notices.py": "compute/test_surfaces.py",
    "compute/prepare/planes.py": "compute/test_surfaces.py",
    "compute/prepare/restore.py": "compute/test_resume.py",
    "compute/prepare/resume.py": "compute/test_resume.py",
    "compute/prepare/session.py": "compute/test_surfaces.py",
    "compute/prepare/source.py": "compute/test_surfaces.py",
    "compute/run.py": "compute/test_surfaces.py",
    "evaluate/callables.py": "contract/trust/test_own_quantities.py",
    "evaluate/fast/flat_weights.py": "evaluate/fast/test_stacked.py",
    "hessian/fast/layer_weights.py": "hessian/fast/test_layerwise_operator.py",
    "hessian/fast/layerwise_model.py": "hessian/fast/test_layerwise_operator.py",
    "hessian/fast/linearization.py": "hessian/fast/test_layerwise_operator.py",
    "hessian/fast/local_maps.py": "hessian/fast/test_layerwise_operator.py",
    "hessian/fast/passes.py": "hessian/fast/test_layerwise_operator.py",
    "problem/callables.py": "contract/trust/test_own_quantities.py",
    "problem/isolation/rebinding.py": "problem/isolation/test_copying.py",
    "problem/nested.py": "problem/test_batches.py",
    "surface/draw/curves.py": "surface/draw/test_matplotlib.py",
    "surface/draw/overlays.py": "contract/test_rules.py",
    "surface/io/authors.py": "surface/io/test_netcdf.py",
    "surface/io/paraview.py": "surface/io/test_netcdf.py",
    "surface/io/storable.py": "surface/io/test_stored.py",
    "tracing/memory_layout.py": "evaluate/fast/test_folded.py",
    "tracing/shapes.py": "evaluate/fast/test_hard_models.py",
    "zoo/checks.py": "zoo/test_models.py",
    "zoo/layers.py": "zoo/test_models.py",
    "zoo/restored.py": "zoo/test_training.py",
}

TREES = {
    "package": sorted(PACKAGE.rglob("*.py")),
    "tests": sorted(TESTS.rglob("*.py")),
    "viewer": sorted(path for path in VIEWER.rglob("*") if path.suffix in (".ts", ".css")),
}
MODULES = [path.relative_to(PACKAGE).as_posix() for path in TREES["package"] if path.name != "__init__.py"]


def n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, what it imports from them, and the homes of public names, all dotted."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names | homes_of(names))


def homes_of(names: set[str]) -> set[str]:
    """Return the modules that public names such as ``lljupyter.loss_surface`` come from."""
    public = {name.split(".")[1] for name in names if name.startswith("lljupyter.")} & set(lljupyter.__all__)
    return {str(getattr(getattr(lljupyter, name), "__module__", "")) for name in public}


def files_that_test(module: str) -> list[Path]:
    """Return the files that import a module, or are named after it or its folder.

    ``jupyter/test_widget_files.py`` and ``session/session/test_end.py`` are named after ``jupyter/widget.py`` and
    ``session/session.py``, ``problem/test_trial.py`` after the modules of ``problem/trial/``.
    """
    path = Path(module)
    named = [path.with_suffix(""), *(folder for folder in path.parents if len(folder.parts) > 1)]
    own = [str(place.with_name(f"test_{place.name}")) for place in named]
    dotted = ".".join(("lljupyter", *path.with_suffix("").parts))
    found = []
    for file in TREES["tests"]:
        if file.name.startswith("test_") or file.parent.name == "contract":
            name = str(file.relative_to(TESTS).with_suffix(""))
            beside = (*(f"{start}_" for start in own), f"{module.removesuffix('.py')}/test_")
            if dotted in imported_by(file) or name in own or name.startswith(beside):
                found.append(file)
    return found


@pytest.mark.parametrize("tree", TREES)
def test_files_stay_short(tree):
    lengths = {str(path): n_lines(path) for path in TREES[tree] if path.name != "__init__.py"}
    if not lengths:
        pytest.skip("the sources of the viewer are not beside the package")
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
    assert median(lengths.values()) <= MEDIAN


@pytest.mark.parametrize("tree", TREES)
def test_folders_stay_small(tree):
    folders = [path.parent for path in TREES[tree] if path.name != "__init__.py"]
    assert {str(folder): n for folder in folders if (n := folders.count(folder)) > MOST_FILES} == {}


def test_every_module_has_tests():
    found = {module: files_that_test(module) for module in MODULES}
    missing = {
        module: f"expected {(Path('tests') / module).with_name(f'test_{Path(module).name}')}, or a line in TESTED_IN"
        for module, files in found.items()
        if not files and module not in TESTED_IN
    }
    assert missing == {}
    assert [module for module in TESTED_IN if found.get(module)] == [], "their tests are found without these lines"


def test_named_modules_exist():
    assert set(TESTED_IN) <= set(MODULES)


def test_named_files_of_tests_exist():
    assert [file for file in TESTED_IN.values() if not (TESTS / file).is_file()] == []


def test_tests_import_no_tests():
    """What two tests share lies in ``tests/support``."""
    wrong = {}
    for path in TREES["tests"]:
        parts = {part for name in imported_by(path) for part in name.split(".")}
        wrong[str(path)] = sorted(part for part in parts if part in ("tests", "conftest") or part.startswith("test_"))
    assert {path: parts for path, parts in wrong.items() if parts} == {}
