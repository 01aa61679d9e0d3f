"""The map of the package, as one ordered list, and the checks that the package keeps to it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import trainsignal

PACKAGE = "trainsignal"
SOURCE = Path(trainsignal.__file__).parent

LAYERS = (
    ("cli",),
    ("demo",),
    ("loops", "arguments", "remote"),
    ("boosting",),
    ("loop_driver", "config_file", "log_output"),
    ("container",),
    ("joining",),
    ("report", "relay", "defaults", "summary", "wiring", "description"),
    ("callbacks", "models"),
    ("wrapped_booster", "reported"),
    ("wrapped_model",),
    ("life",),
    ("resume",),
    ("snapshot", "ending"),
    ("run", "saving", "stopping"),
    ("hand_loop", "record", "distributed"),
    ("hot_path", "cost", "smoothed_cost", "evaluation", "checkpoint", "interrupt"),
    ("binding",),
    ("preflight",),
    ("order",),
    ("callback",),
    ("bus",),
    ("readings", "minibatch_series"),
    ("subscription", "shared_data", "backend", "notes"),
    ("receiver", "run_link", "sampling", "image_grid", "operations", "feed"),
    ("tensor", "csv_table", "hardware", "scalar_events", "random_state", "plain_state"),
    ("plain_values", "frameworks", "layer_names"),
    ("signals", "frequency", "keys", "abilities", "files", "improvement", "extras", "histogram"),
    ("errors",),
)
"""From top to bottom: a module imports from layers below it, and a package also from itself."""

SCRIPTS = {"cli", "demo"}
"""Modules that use the package as its users do, by `from trainsignal import ...`."""

FAMILIES = ("callbacks", "models", "loops")
"""Packages of siblings, of which none imports another."""

HOME_OF = {
    "blinker": ("bus",),
    "h5py": ("shared_data", "checkpoint", "report"),
    "tqdm": ("callbacks.progress_bar",),
    "sklearn": ("demo", "loops.sklearn", "models.sklearn"),
    "configargparse": ("config_file",),
    "torch": (
        "models.torch", "checkpoint.torch_file", "loops.lightning", "loops.transformers", "models.keras",
        "distributed.torch",
    ),
    "safetensors": ("checkpoint.safetensors_file",),
    "lightning": ("loops.lightning",),
    "ignite": ("loops.ignite",),
    "transformers": ("loops.transformers",),
    "keras": ("loops.keras", "models.keras"),
    "jax": ("models.jax",),
    "xgboost": ("loops.xgboost", "models.xgboost"),
    "lightgbm": ("loops.lightgbm", "models.lightgbm"),
    "bokeh": ("report.pages.toolkit", "report.pages.server"),
    "tornado": ("report.pages.server",),
    "PIL": ("report.pages.picture_files",),
    "uniplot": ("report.line_charts",),
    "pyarrow": ("report.export.parquet",),
    "IPython": ("report.notebook",),
    "mpi4py": ("distributed.mpi",),
    "redis": ("relay.broker",),
}  # fmt: skip
"""Where each dependency is imported, and nowhere else."""

OPTIONAL = (
    "sklearn", "torch", "keras", "lightning", "ignite", "transformers", "jax", "xgboost", "lightgbm",
    "safetensors", "pandas", "matplotlib", "scipy", "configargparse", "tensorboard", "psutil", "pynvml",
    "bokeh", "tornado", "PIL", "uniplot", "pyarrow", "IPython", "mpi4py", "redis",
)  # fmt: skip
"""What `import trainsignal` must not import."""

LARGEST_LINES = 250
LARGER = {
    "abilities": "one short Protocol an ability: looked up, not read through",
    "run": "what callbacks, handlers and loops may ask of a run: its attributes, and short methods",
    "life": "the signals of a run, from its begin to its end, in the one order that they have",
    "cli": "one short function a subcommand, and one for its options",
    "container": "neon's own surface: as many methods as neon's `Callbacks`, and their documentation",
    "backend": "neon's own surface of a backend",
    "bus": "the signal class and the bus are one idea, and the only importers of blinker",
    "keys": "one constant or one line a series: looked up, not read through",
    "shared_data.file": "h5py.File's surface and the archive's: short methods that hand on",
    "shared_data.buffered": "the dataset and its window are one idea",
    "arguments": "one short function a group of options, each option with its help text",
    "models.numpy_net.model": "neon's own surface of `Model`",
}
"""Modules that may be longer, each with its reason."""


@dataclass(frozen=True)
class Import:
    """One import statement: who imports what, and whether it runs when the module is imported."""

    importer: str
    imported: str
    at_module_level: bool


def module_name(path: Path) -> str:
    """Return the dotted name below the package: "callbacks.loss"; "" for the package itself."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imports_of(name: str) -> Iterator[Import]:
    """Yield every import of a module, also those inside functions and under TYPE_CHECKING."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    later = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_type_checking(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"{name}: a relative import"
            names = [_target(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and _is_require(node):
            names = [ast.literal_eval(node.args[0])]
        else:
            continue
        for imported in names:
            yield Import(name, imported, node not in later)


def _is_require(call: ast.Call) -> bool:
    """Return whether a call is `require("package", ...)` of `extras`, or a partial of it: it imports too."""
    is_named_so = getattr(call.func, "id", None) in ("require", "_require")
    return is_named_so and isinstance(call.args[0], ast.Constant)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _target(module: str, name: str) -> str:
    """Return the module that `from module import name` needs: a submodule, or the module itself."""
    inside = module.removeprefix(PACKAGE).removeprefix(".")
    is_submodule = module.split(".")[0] == PACKAGE and ".".join(filter(None, [inside, name])) in MODULES
    return f"{module}.{name}" if is_submodule else module


IMPORTS = [one for name in MODULES for one in imports_of(name)]
OWN = [
    Import(one.importer, one.imported.removeprefix(PACKAGE).removeprefix("."), one.at_module_level)
    for one in IMPORTS
    if one.imported.split(".")[0] == PACKAGE
]


def top(name: str) -> str:
    return name.split(".")[0]


def layer_of(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if top(name) in layer)


def test_every_module_has_one_place_on_the_map() -> None:
    on_the_map = [name for layer in LAYERS for name in layer]

    assert len(on_the_map) == len(set(on_the_map))
    assert {top(name) for name in MODULES if name} - set(on_the_map) == set()
    assert set(on_the_map) <= {top(name) for name in MODULES}


def test_imports_point_down_the_map() -> None:
    wrong = [
        one
        for one in OWN
        if one.importer  # `__init__` collects the public names
        and not (top(one.importer) in SCRIPTS and one.imported == "")
        and not (one.imported and top(one.importer) == top(one.imported))
        and not (one.imported and layer_of(one.importer) < layer_of(one.imported))
    ]

    assert wrong == []


def test_nothing_below_imports_the_packages_public_names() -> None:
    assert {one.importer for one in OWN if one.imported == ""} <= SCRIPTS


@pytest.mark.parametrize("family", FAMILIES)
def test_siblings_of_a_family_do_not_import_each_other(family: str) -> None:
    wrong = [
        one
        for one in OWN
        if one.importer.startswith(f"{family}.")
        and top(one.imported) in FAMILIES
        and one.importer.split(".")[:2] != one.imported.split(".")[:2]
        and layer_of(one.importer) == layer_of(one.imported)
    ]

    assert wrong == []


def test_no_module_imports_itself_in_a_circle() -> None:
    needs = {
        name: {one.imported for one in OWN if one.importer == name and one.at_module_level}
        for name in MODULES
    }
    waiting = dict(needs)
    while ready := [name for name, needed in waiting.items() if needed.isdisjoint(waiting)]:
        for name in ready:
            del waiting[name]

    assert waiting == {}


@pytest.mark.parametrize("dependency", HOME_OF)
def test_a_dependency_is_imported_at_its_home_alone(dependency: str) -> None:
    importers = {one.importer for one in IMPORTS if top(one.imported) == dependency}
    homes = HOME_OF[dependency]

    assert {
        name for name in importers if not any(f"{name}.".startswith(f"{home}.") for home in homes)
    } == set()


def test_importing_the_package_imports_no_framework() -> None:
    script = f"import sys, {PACKAGE}; print(*(name for name in {OPTIONAL} if name in sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_importing_the_package_configures_nothing() -> None:
    script = f"""
import logging, signal, sys, warnings
import blinker, h5py, numpy, tqdm

def state():
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    return handlers, logging.root.handlers[:], warnings.filters[:], numpy.get_printoptions(), sys.excepthook

before = state()
import {PACKAGE}
assert state() == before
"""

    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_enough_to_be_read_or_says_why_not(name: str) -> None:
    lines = len(MODULES[name].read_text(encoding="utf-8").splitlines())

    assert lines <= LARGEST_LINES or name in LARGER


@pytest.mark.parametrize("name", LARGER)
def test_an_exception_from_the_size_is_still_needed(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) > LARGEST_LINES


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))

    assert docstring, f"{name} has no docstring"


def public_modules() -> list[str]:
    return [name for name, path in MODULES.items() if "__all__" in path.read_text(encoding="utf-8")]


def imported(name: str) -> ModuleType:
    return importlib.import_module(".".join(filter(None, [PACKAGE, name])))


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_sorted_and_complete(name: str) -> None:
    module = imported(name)
    bound = {
        alias.asname or alias.name
        for node in ast.parse(MODULES[name].read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and top(node.module or "") == PACKAGE
        for alias in node.names
    }
    names: list[str] = module.__all__

    constants_first = sorted(names, key=lambda one: (not one.isupper(), one))
    assert names == constants_first and len(names) == len(set(names))
    assert all(hasattr(module, one) for one in names)
    if MODULES[name].name == "__init__.py":
        assert bound == set(names)
