"""Rules of the house that no linter knows: sizes, one clock, where SQL may stand, no floats near money."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("marketplace", "supply", "demand", "incentives", "billing")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

MAY_HOLD_SQL = (
    "*/store.py",
    "*/sql.py",
    "*_sql.py",
    "*_queries.py",
    "*/tables.py",
    "billing/ledger/roll.py",
    "marketplace/core/*",
    "marketplace/flows/*",
    "marketplace/migrations/*",
    "marketplace/backup.py",
    "marketplace/bootstrap.py",
    "marketplace/cluster.py",
    "marketplace/migrate.py",
    "marketplace/cli/base.py",
    "marketplace/routes/figures.py",  # what /metrics reads
    "marketplace/web/once.py",
    "marketplace/web/system.py",
)
_SQL = re.compile(r"\s*(SELECT\b|INSERT INTO\b|UPDATE \w+\.|DELETE FROM\b|WITH \w+ AS\b|COPY \w)")
_SQL_BUILDERS = {"select", "insert", "update", "delete", "text"}

COUNTS_MONEY = ("billing/*", "marketplace/flows/*", "marketplace/core/money.py", "marketplace/core/rates.py")
DRAWS_LOTS = ("marketplace/flows/demo/demo_market*.py",)
"""Made-up data: their floats are probabilities, never amounts."""

_CLOCK_CALLS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}


def sources(*folders: str) -> list[Path]:
    return sorted(file.relative_to(ROOT) for folder in folders for file in (ROOT / folder).rglob("*.py"))


def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def matches(file: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(file.as_posix(), pattern) for pattern in patterns)


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_and_functions_are_short() -> None:
    too_long = [
        f"{file}: {lines} lines"
        for file in sources(*PACKAGES, "tests")
        if (lines := len((ROOT / file).read_text().splitlines())) > FILE_LINES_MAX
    ]
    too_long += [
        f"{file}:{node.lineno} {node.name}: {lines} lines"
        for file in sources(*PACKAGES, "tests")
        for node in functions(file)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not too_long


def test_imports_stand_at_the_top() -> None:
    hidden = [
        f"{file}:{inner.lineno}"
        for file in sources(*PACKAGES)
        for node in functions(file)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    guarded = [str(file) for file in sources(*PACKAGES) if "TYPE_CHECKING" in (ROOT / file).read_text()]
    assert not hidden + guarded


def test_only_the_clock_knows_what_time_it_is() -> None:
    asked = [
        f"{file}:{node.lineno}"
        for file in sources(*PACKAGES)
        if file.as_posix() != "marketplace/core/clock.py"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in _CLOCK_CALLS
    ]
    assert not asked


def sql_in(source: ast.Module) -> Iterator[int]:
    for node in ast.walk(source):
        match node:
            case ast.Constant(value=str(value)) if _SQL.match(value):
                yield node.lineno
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("sqlalchemy"):
                if _SQL_BUILDERS & {name.name for name in names}:
                    yield node.lineno


def test_sql_stands_where_it_is_looked_for() -> None:
    astray = [
        f"{file}:{line}"
        for file in sources(*PACKAGES)
        if not matches(file, MAY_HOLD_SQL)
        for line in sql_in(tree(file))
    ]
    assert not astray


def floats_in(module: ast.Module) -> Iterator[int]:
    for node in ast.walk(module):
        match node:
            case ast.Constant(value=float()) | ast.Name(id="float"):
                yield node.lineno
            case ast.BinOp(op=ast.Div(), left=left) if "folder" not in ast.unparse(left):  # a path's slash
                yield node.lineno


def test_no_float_is_near_money() -> None:
    near = [
        f"{file}:{line}"
        for file in sources(*PACKAGES)
        if matches(file, COUNTS_MONEY) and not matches(file, DRAWS_LOTS)
        for line in floats_in(tree(file))
    ]
    assert not near


@pytest.mark.parametrize("code", ["1.5", "float(x)", "a / b"])
def test_the_float_rule_can_fail(code: str) -> None:
    assert list(floats_in(ast.parse(code)))


@pytest.mark.parametrize("code", ["'SELECT 1'", "f'''\n  INSERT INTO {t}'''", "from sqlalchemy import select"])
def test_the_sql_rule_can_fail(code: str) -> None:
    assert list(sql_in(ast.parse(code)))
