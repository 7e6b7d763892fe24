"""Imports go one way, from the rooms on the right of ``ORDER`` to those on their left."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import lljupyter

PACKAGE = Path(lljupyter.__file__).parent
ORDER = [
    "process",
    "geometry",
    "tracing",
    "surface",
    "training",
    "problem",
    "evaluate",
    "hessian",
    "session",
    "compute",
    "jupyter",
]
BESIDE = {"zoo": {"process"}}  # rooms beside the walk, and what they may import
WIDGETS = {"anywidget", "ipywidgets", "traitlets", "IPython"}
FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if (node.module or "").split(".")[0] == "lljupyter":  # a name, or a module
                found |= {f"{node.module}.{alias.name}" for alias in node.names if not alias.name.startswith("__")}
    return found


def home(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_imports_go_down():
    wrong = {}
    for path in FILES:
        here = home(path)
        if here == "__init__":
            continue  # the public names, imported lazily
        ours = {layer_of(module) for module in imports_of(path) if module.split(".")[0] == "lljupyter"} - {""}
        below = BESIDE[here] if here in BESIDE else set(ORDER[: ORDER.index(here)])
        wrong[name_of(path)] = sorted(ours - {here, *below})
    assert len(wrong) > 100
    assert {name: rooms for name, rooms in wrong.items() if rooms} == {}


def test_the_widget_stack_is_in_jupyter_and_torch_not_in_surface():
    wrong = {}
    for path in FILES:
        barred = set() if home(path) == "jupyter" else WIDGETS
        barred = {*barred, "torch"} if home(path) == "surface" else barred
        wrong[name_of(path)] = sorted(barred & {module.split(".")[0] for module in imports_of(path)})
    assert {name: roots for name, roots in wrong.items() if roots} == {}


def test_surface_can_be_used_without_torch_and_the_widget_stack():
    modules = [".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in FILES if home(p) == "surface"]
    code = f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\n"
    code += f"print(sorted({WIDGETS | {'torch'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == "[]\n"


def test_no_circle_exists():
    """Not even under ``TYPE_CHECKING``: whoever reads a file can read what it needs first."""
    paths = {".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in FILES}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items() if home(path) != "__init__"}
    needs = {name: imports_of(path) & (paths.keys() - {name}) for name, path in paths.items()}
    while free := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in free}
    while free := needs.keys() - set().union(*needs.values()):
        needs = {name: needed for name, needed in needs.items() if name not in free}
    circles = {name: sorted(needed & needs.keys()) for name, needed in needs.items()}
    assert circles == {}


def test_the_three_lists_of_public_names_agree():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen_by_editors = {
        alias.name: f"{node.module}.{alias.name}" if alias.name == "zoo" else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE.name)
        for alias in node.names
    }
    assert seen_by_editors == lljupyter._HOMES
    assert set(lljupyter.__all__) == {"__version__", *lljupyter._HOMES}
