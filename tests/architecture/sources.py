"""The project as the architecture tests read it: its files as git lists them, and its Python as syntax trees."""

import ast
import functools
import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("contracts", "services", "deploy", "tests")
MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_AIM = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


class AimMissed(UserWarning):
    """A function is within the limit, and longer than it should be."""


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Return every file of the project, tracked or about to be, relative to its root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(Path(name) for name in set(listed.split("\0")) if name and (ROOT / name).is_file()))


def modules(*folders: str) -> tuple[Path, ...]:
    """Return the Python modules below these top folders; all of them when none is named."""
    return tuple(path for path in project_files() if path.suffix == ".py" and path.parts[0] in (folders or CODE))


@functools.cache
def text(path: Path) -> str:
    """Return a file's text, relative to the root; what is not UTF-8 is replaced."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


@functools.cache
def tree(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(text(path), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    """Yield every function and method of a module, nested ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def long_functions(path: Path) -> list[str]:
    """Return the functions over the limit, as `path:line name (lines)`; warn of those over the aim."""
    over = []
    for function in functions(path):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        place = f"{path}:{function.lineno} {function.name} ({lines} lines)"
        if lines > FUNCTION_LINES_MAX:
            over.append(place)
        elif lines > FUNCTION_LINES_AIM:
            warnings.warn(f"{place}, aim {FUNCTION_LINES_AIM}", AimMissed, stacklevel=2)
    return over


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of every string of a module, parts of f-strings too, except docstrings."""
    module = tree(path)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def binary_fractions(path: Path) -> list[str]:
    """Return where a module names `float` or Python's own `round`, writes a binary fraction, or divides into one."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name) and node.id in {"float", "round"}:
            found.append(f"{path}:{node.lineno} {node.id}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append(f"{path}:{node.lineno} {node.value}")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{path}:{node.lineno} /")
    return found


def make_targets(path: Path) -> set[str]:
    """Return the targets of a Makefile."""
    return set(re.findall(r"^([a-z-]+):(?!=)", text(path), re.MULTILINE))
