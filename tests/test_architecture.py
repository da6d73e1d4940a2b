"""The map of the rooms holds: who imports whom, and what an entry point may contain."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RELAY = sorted(ROOT.glob("relay/**/*.py"))
LAB = [p for p in sorted(ROOT.glob("lab/**/*.py")) if "node_modules" not in p.parts]
DEPLOYED = [*RELAY, ROOT / "function_app.py"]

# Everything else is pure: no SDK, no clock, no environment.
IMPURE = (
    "__main__",
    "app",
    "event_path",
    "triggers",
    "host_times",
    "http_streams",
    "http_whole",
    "sdk_errors",
    "sinks",
    "identity",
    "telemetry",
    "operations",
    "dead_letters/blobs.py",
)
# SDKs by the rooms that may import them.
SDK_ROOMS = {
    "azure.functions": ("triggers.py", "host_times.py", "http_whole.py"),
    "azurefunctions": ("http_streams.py",),
    "azure.eventhub": ("sinks", "sdk_errors.py"),
    "azure.servicebus": ("sinks", "sdk_errors.py"),
    "azure.storage": ("dead_letters/blobs.py", "sdk_errors.py"),
    "azure.identity": ("identity.py", "sdk_errors.py"),
    "azure.core": ("sinks", "dead_letters/blobs.py", "identity.py", "sdk_errors.py"),
    "opentelemetry": ("telemetry",),
    "azure.monitor": ("telemetry",),
    "prometheus_client": ("telemetry",),
}
GRAB_BAGS = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "manager",
    "base",
    "misc",
    "shared",
}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def nodes(node: ast.AST, *, at_run_time: bool) -> Iterator[ast.AST]:
    """Walk a tree, at will without what only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (at_run_time and is_type_checking(child)):
            yield from nodes(child, at_run_time=at_run_time)


def imports(path: Path, *, at_run_time: bool) -> set[str]:
    """Return the full names of what a module imports."""
    found: set[str] = set()
    for node in nodes(ast.parse(path.read_text("utf-8")), at_run_time=at_run_time):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_in(path: Path, rooms: tuple[str, ...]) -> bool:
    place = path.relative_to(ROOT / "relay").as_posix()
    return any(place in {room, f"{room}.py"} or place.startswith(f"{room}/") for room in rooms)


def begins(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PURE = [path for path in RELAY if not is_in(path, IMPURE)]


def test_the_rooms_of_the_map_are_pure() -> None:
    rooms = "event filters routing failures ingress formats observer sending delivery redrive"

    assert {path.relative_to(ROOT / "relay").parts[0].removesuffix(".py") for path in PURE} >= {
        *rooms.split(),
        *("refusals", "health", "settings", "dead_letters"),
    }


@pytest.mark.parametrize("path", DEPLOYED, ids=name_of)
def test_what_is_deployed_never_imports_what_is_not(path: Path) -> None:
    outside = {"lab", "tests", "bench"}

    assert not {n for n in imports(path, at_run_time=False) if n.partition(".")[0] in outside}


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_a_pure_room_imports_no_sdk(path: Path) -> None:
    sdks = ("azure", "opentelemetry", "aiohttp")

    assert not {
        name
        for name in imports(path, at_run_time=True)
        if any(begins(name, sdk) for sdk in sdks)
    }


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_a_pure_room_imports_no_room_that_is_not(path: Path) -> None:
    rooms = [f"relay.{room.removesuffix('.py').replace('/', '.')}" for room in IMPURE]

    assert not {
        name
        for name in imports(path, at_run_time=True)
        if any(begins(name, room) for room in rooms)
    }


@pytest.mark.parametrize("path", RELAY, ids=name_of)
def test_an_sdk_is_imported_in_its_room_only(path: Path) -> None:
    strangers = {
        name
        for name in imports(path, at_run_time=True)
        for sdk, rooms in SDK_ROOMS.items()
        if begins(name, sdk) and not is_in(path, (*rooms, "operations"))
    }

    assert not strangers


def test_nobody_builds_on_the_composition_root() -> None:
    others = [path for path in RELAY if not is_in(path, ("operations", "triggers"))]

    assert not [
        name_of(path)
        for path in others
        if any(begins(name, "relay.app") for name in imports(path, at_run_time=False))
    ]


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_a_pure_room_asks_neither_clock_nor_environment(path: Path) -> None:
    source = path.read_text("utf-8")

    assert not re.search(
        r"\b(os\.environ|os\.getenv|datetime\.now|utcnow|time\.time|time\.sleep)\b", source
    )


# The entry points


TRIGGERS = ROOT / "relay" / "triggers.py"
MODELS = ("http_whole", "http_streams")


def entry_points() -> list[ast.AsyncFunctionDef]:
    tree = ast.parse(TRIGGERS.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]


def http_functions() -> list[ast.AsyncFunctionDef]:
    """What is declared for every HTTP function, in either of the worker's models."""
    trees = [ast.parse((ROOT / "relay" / f"{m}.py").read_text("utf-8")) for m in MODELS]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [
        node
        for node in nodes
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "answering"
    ]


def test_there_is_an_entry_point_for_every_way_in() -> None:
    assert len(MODELS) == len(http_functions())
    names = {function.name for function in entry_points()}

    ways_in = {"event_hub", "service_bus", "event_grid"}
    assert ways_in | {"redrive", "service_tags"} == names


@pytest.mark.parametrize("function", [*entry_points(), *http_functions()], ids=lambda f: f.name)
def test_an_entry_point_is_one_statement(
    function: ast.AsyncFunctionDef,
) -> None:
    docstring, *statements = function.body

    assert ast.get_docstring(function)
    assert isinstance(docstring, ast.Expr)
    assert len(statements) == 1
    assert isinstance(statements[0], ast.Expr | ast.Return)


@pytest.mark.parametrize("function", entry_points(), ids=lambda function: str(function.name))
def test_an_entry_point_always_answers_the_host(
    function: ast.AsyncFunctionDef,
) -> None:
    assert ast.unparse(function.decorator_list[-1]) == "answered"


def test_every_http_function_always_answers_the_host() -> None:
    assert "(declare(answered(function)))" in TRIGGERS.read_text("utf-8")


FORBIDDEN = (ast.Try, ast.TryStar, ast.For, ast.While, ast.With, ast.ClassDef)


def test_the_triggers_do_nothing_themselves() -> None:
    """Which of them there are is all that may be asked there."""
    tree = ast.parse(TRIGGERS.read_text("utf-8"))

    assert not [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, FORBIDDEN)]


def test_the_function_app_holds_no_logic() -> None:
    tree = ast.parse((ROOT / "function_app.py").read_text("utf-8"))
    forbidden = (*FORBIDDEN, ast.If, ast.FunctionDef, ast.AsyncFunctionDef)

    assert not [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, forbidden)]
    assert not [
        name
        for name in imports(ROOT / "function_app.py", at_run_time=False)
        if not name.startswith(("__future__.", "typing.", "azure.functions", "relay."))
    ]


# Names and state


@pytest.mark.parametrize("path", [*RELAY, *LAB], ids=name_of)
def test_no_module_is_a_grab_bag(path: Path) -> None:
    parts = set(path.relative_to(ROOT).with_suffix("").parts)

    assert not parts & GRAB_BAGS


def mutable(node: ast.expr | None) -> bool:
    """Whether an expression makes something that anybody may change."""
    makers = {"dict", "list", "set", "defaultdict", "deque", "Counter", "bytearray"}
    is_call = isinstance(node, ast.Call) and ast.unparse(node.func) in makers
    kinds = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)
    return is_call or isinstance(node, kinds)


@pytest.mark.parametrize("path", RELAY, ids=name_of)
def test_a_module_keeps_no_state(path: Path) -> None:
    """A table is `Final` by its annotation; `__all__` is Python's own."""
    tree = ast.parse(path.read_text("utf-8"))
    plain = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and mutable(node.value)
        and ast.unparse(node.targets[0]) != "__all__"
    ]
    annotated = [
        ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and mutable(node.value)
        and not ast.unparse(node.annotation).startswith("Final")
    ]
    is_rebound = any(isinstance(node, ast.Global) for node in ast.walk(tree))

    assert (plain, annotated, is_rebound) == ([], [], False)


# What is deployed

# Modules of a distribution, where its name does not tell; and what is needed without import.
DISTRIBUTIONS = {
    "azurefunctions": "azurefunctions-extensions-http-fastapi",
    "azure.core": "azure-core",
    "azure.eventhub": "azure-eventhub",
    "azure.functions": "azure-functions",
    "azure.identity": "azure-identity",
    "azure.monitor": "azure-monitor-opentelemetry-exporter",
    "azure.servicebus": "azure-servicebus",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.exporter.prometheus": "opentelemetry-exporter-prometheus",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
    "azure.storage.blob": "azure-storage-blob",
}
NOT_IMPORTED: dict[str, str] = {}
ADDED_BY_WHO_WANTS_IT = {"azurefunctions-extensions-http-fastapi", "starlette"}
"""With TWINS_PROXY_STREAMS; without, it is never imported: tests/relay/test_http_streams.py."""


def requirements() -> set[str]:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if line[:1] not in {"", "#"})
    return {match[0].lower() for match in found if match}


def distribution_of(module: str) -> str:
    for prefix, distribution in DISTRIBUTIONS.items():
        if begins(module, prefix):
            return distribution
    top = module.partition(".")[0]
    if top == "opentelemetry":
        return "opentelemetry-api"
    return packages_distributions()[top][0].lower()


def imported_distributions() -> set[str]:
    names = {name for path in DEPLOYED for name in imports(path, at_run_time=True)}
    return {
        distribution_of(name)
        for name in names
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "relay"}
    }


def test_everything_that_is_imported_is_required() -> None:
    """A requirement vouches for what it requires itself: azure-identity for azure-core."""
    vouched = {
        re.split(r"[^A-Za-z0-9._-]", line)[0].lower()
        for requirement in requirements()
        for line in requires(requirement) or []
        if "extra ==" not in line
    }

    assert imported_distributions() - requirements() - vouched == ADDED_BY_WHO_WANTS_IT


def test_everything_that_is_required_is_imported() -> None:
    assert requirements() - imported_distributions() == NOT_IMPORTED.keys()


def test_only_what_runs_in_azure_is_deployed() -> None:
    ignored = set((ROOT / ".funcignore").read_text("utf-8").splitlines())

    assert ignored >= {
        f"{folder}/" for folder in ("lab", "tests", "bench", "infra", "docs", "examples")
    }
    assert ignored >= {".*", "local.settings.json"}
    assert not ignored & {"relay/", "function_app.py", "host.json", "requirements.txt", "*"}
