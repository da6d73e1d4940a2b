"""Files with their parameters, and what their expressions name: resources and modules."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.infra.bicep import asking, functions, shapes
from tests.infra.bicep.deployed import Deployed, Node
from tests.infra.bicep.evaluation import UNKNOWN, Local, Scope, Unknown, evaluate, turns
from tests.infra.bicep.made_up import LOCATION, SUBSCRIPTION, TENANT, known
from tests.infra.bicep.nodes import Declaration, File, Finding, Place
from tests.infra.bicep.parameters import conforms
from tests.infra.bicep.syntax import parse
from tests.infra.bicep.waiting import waits_of


class Run:
    """What all files of one deployment share."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.parsed: dict[str, File] = {}
        self.findings: dict[Finding, None] = {}
        self.waits: dict[Node, set[Node]] = {}
        self.modules: list[tuple[Place, str, str]] = []
        self.references: list[tuple[Place, str]] = []

    def note(self, at: Place, what: str) -> Unknown:
        self.findings[Finding(at, what)] = None
        return UNKNOWN

    def file(self, path: str) -> File:
        if path not in self.parsed:
            self.parsed[path] = parse(path, self.files[path])
            for finding in self.parsed[path].findings:
                self.findings[finding] = None
        return self.parsed[path]


@dataclass(frozen=True)
class ScopeOf:
    """A subscription or a resource group, as `subscription()` and `resourceGroup()` tell it."""

    id: str
    run: Run

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        steps = self.id.split("/")
        told = {
            "id": self.id,
            "name": steps[-1],
            "location": LOCATION,
            "subscriptionId": steps[2],
            "tenantId": TENANT,
            "displayName": "a subscription",
            "tags": {},
        }
        if name in told:
            return told[name]
        return None if safe else self.run.note(at, f"a scope has no {name}")


@dataclass(eq=False)
class Resource:
    """One resource of a file, as its other expressions see it."""

    of: Instance
    declaration: Declaration
    names: Scope
    parent_of: Resource | None = None

    @cached_property
    def is_deployed(self) -> bool:
        above = self.parent_of is None or self.parent_of.is_deployed
        return above and self.of.is_true(self.declaration, self.names)

    @cached_property
    def parent(self) -> Resource | None:
        if self.parent_of is not None:
            return self.parent_of
        named = self._part("parent")
        if named is None or isinstance(named, Resource):
            return named
        if named is not UNKNOWN:
            self.of.note(self.declaration.at, "its parent is no resource")
        return None

    def _part(self, name: str) -> Any:
        body = self.declaration.body
        written = body.get(name) if body else None
        if written is None:
            return None
        return self.of.once(
            f"{name} of {self.declaration.name}",
            self.declaration,
            lambda: evaluate(written, self.names),
        )

    @cached_property
    def type(self) -> str:
        if self.parent_of is not None and "/" not in self.declaration.type:
            return f"{self.parent_of.type}/{self.declaration.type}"
        return self.declaration.type

    @cached_property
    def version(self) -> str:
        above = self.parent_of.version if self.parent_of is not None else ""
        return self.declaration.version or above

    @cached_property
    def name(self) -> str:
        own = self._part("name")
        if not isinstance(own, str):
            if own is not UNKNOWN:
                self.of.note(self.declaration.at, f"{self.declaration.name} has no name")
            return f"unknown-{self.declaration.name}"
        return f"{self.parent.name}/{own}" if self.parent is not None else own

    @cached_property
    def scope(self) -> str:
        """The id of what it extends or lies in."""
        named = self._part("scope")
        if named is None or named is UNKNOWN:
            return self.parent.id if self.parent is not None else self.of.scope
        if isinstance(named, Resource | ScopeOf):
            return named.id
        self.of.note(self.declaration.at, "its scope is neither a resource nor a group")
        return self.of.scope

    @cached_property
    def id(self) -> str:
        kind, name = self.type, self.name
        if kind == "Microsoft.Resources/resourceGroups":
            return f"{SUBSCRIPTION}/resourceGroups/{name}"
        if self.parent is not None:
            if kind.rpartition("/")[0].lower() != self.parent.type.lower():
                self.of.note(self.declaration.at, f"{kind} is no child of {self.parent.type}")
            return f"{self.parent.id}/{kind.rpartition('/')[2]}/{name.rpartition('/')[2]}"
        try:
            return functions.resource_id(self.scope, kind, *name.split("/"))
        except ValueError as error:
            self.of.note(self.declaration.at, str(error))
            return f"{self.scope}/providers/{kind}/{name}"

    @cached_property
    def body(self) -> dict[str, Any]:
        body = self.declaration.body
        if body is None:
            return {}
        return {
            name: settled(value, self.of, self.declaration.at)
            for name, value in evaluate(
                body.without("parent", "scope", "dependsOn"), self.names
            ).items()
        }

    @property
    def identity(self) -> str | None:
        """The type of its identity; `None` of a resource that is there already."""
        if self.declaration.existing:
            return None
        told = self.body.get("identity")
        return str(told.get("type", "")) if isinstance(told, dict) else ""

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        plain = {"id": self.id, "type": self.type, "apiVersion": self.version}
        if name in plain:
            return plain[name]
        if name == "name":
            return self.name.rpartition("/")[2]
        if name.startswith("::"):
            return self._child(name[2:], at)
        if not self.is_deployed:
            what = f"{self.declaration.name}.{name} is read, and it is not deployed"
            return None if safe else self.of.note(at, what)
        return RunTime(self, (), self.of).member(name, at, safe=safe)

    def _child(self, name: str, at: Place) -> Any:
        found = next((each for each in self.children if each.declaration.name == name), None)
        return found or self.of.note(at, f"{self.declaration.name} holds no resource {name}")

    @cached_property
    def children(self) -> list[Resource]:
        body = self.declaration.body
        within = body.resources if body else ()
        return [Resource(self.of, each, self.names, self) for each in within]

    def deployed(self) -> Iterator[Deployed]:
        """Yield it, if it is created, and what is declared inside it."""
        if not self.is_deployed:
            return
        if self.declaration.existing:
            self.of.run.references.append((self.declaration.at, self.id))
        else:
            yield Deployed(
                self.id,
                self.type,
                self.version,
                self.name,
                self.body | {"name": self.name.rpartition("/")[2]},
                self.declaration.at,
                self.scope,
                (self.of.path, self.declaration.name),
            )
        for child in self.children:
            yield from child.deployed()


@dataclass(frozen=True)
class RunTime:
    """What Azure knows of a resource when it is there, at a path in it."""

    resource: Resource
    path: tuple[str, ...]
    of: Instance

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        path = (*self.path, name)
        value = known(
            self.resource.type, self.resource.id, self.resource.identity, ".".join(path)
        )
        if value is None:
            value = self._sent(path)
        if value is not None and not isinstance(value, dict):
            return value
        kind = shapes.at(self.resource.type, path)
        if kind is None and value is None:
            if safe:
                return None
            what = f"{self.resource.type} has no {'.'.join(path)}"
            return self.of.note(at, what)
        return RunTime(self.resource, path, self.of)

    def _sent(self, path: tuple[str, ...]) -> Any:
        """Return what was sent, which Azure sends back."""
        if self.resource.declaration.existing:
            return None
        value: Any = self.resource.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def settled(value: Any, of: Instance, at: Place) -> Any:
    """Return a value as it is sent: what only Azure knows as a text that says so."""
    if isinstance(value, RunTime):
        return f"<{value.resource.id}:{'.'.join(value.path)}>"
    if isinstance(value, dict):
        return {name: settled(each, of, at) for name, each in value.items()}
    if isinstance(value, list):
        return [settled(each, of, at) for each in value]
    if isinstance(value, Resource | Module | ScopeOf | Collection):
        return of.note(at, "a resource can't be a value: name its member")
    return value


@dataclass(eq=False)
class Module:
    """A module of a file, as its other expressions see it."""

    of: Instance
    declaration: Declaration
    names: Scope

    @cached_property
    def is_deployed(self) -> bool:
        return self.of.is_true(self.declaration, self.names)

    @cached_property
    def instance(self) -> Instance | None:
        path = posixpath.normpath(
            posixpath.join(posixpath.dirname(self.of.file.path), self.declaration.path)
        )
        if path not in self.of.run.files:
            self.of.note(self.declaration.at, f"there is no file {path}")
            return None
        inside = f"{self.of.path}/{self.declaration.name}".strip("/")
        made = Instance(self.of.run, path, self._given, self._scope, inside, self.declaration)
        is_group = "/resourceGroups/" in made.scope
        if made.file.scope in {"resourceGroup", "subscription"} and is_group != (
            made.file.scope == "resourceGroup"
        ):
            what = f"{path} is for a {made.file.scope}, and is not deployed to one"
            self.of.note(self.declaration.at, what)
        return made

    @cached_property
    def _given(self) -> dict[str, Any]:
        body = self.declaration.body
        written = body.get("params") if body else None
        found = evaluate(written, self.names) if written is not None else {}
        if not isinstance(found, dict):
            return {}
        return {n: settled(value, self.of, self.declaration.at) for n, value in found.items()}

    @cached_property
    def _scope(self) -> str:
        body = self.declaration.body
        written = body.get("scope") if body else None
        if written is None:
            return self.of.scope
        found = evaluate(written, self.names)
        if isinstance(found, Resource | ScopeOf):
            return found.id
        if found is not UNKNOWN:
            self.of.note(self.declaration.at, "its scope is no resource group")
        return self.of.scope

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        if name == "name":
            return self.name
        if name != "outputs":
            return self.of.note(at, f"a module has no {name}")
        if not self.is_deployed:
            what = f"an output of {self.declaration.name} is read, and it is not deployed"
            return None if safe else self.of.note(at, what)
        return Outputs(self) if self.instance else UNKNOWN

    @cached_property
    def name(self) -> str:
        """The name of the deployment that it is."""
        body = self.declaration.body
        written = body.get("name") if body else None
        return self.declaration.name if written is None else str(evaluate(written, self.names))

    def deployed(self) -> Iterator[Deployed]:
        """Yield what it creates."""
        if self.is_deployed and self.instance is not None:
            self.of.run.modules.append((self.declaration.at, self._scope, self.name))
            yield from self.instance.deployed()


@dataclass(frozen=True)
class Outputs:
    """The outputs of a module."""

    module: Module

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        inner = self.module.instance
        assert inner is not None
        found = next((each for each in inner.file.of("output") if each.name == name), None)
        if found is None or found.value is None:
            where = inner.file.path
            return None if safe else inner.run.note(at, f"{where} has no output {name}")
        return settled(evaluate(found.value, inner), inner, found.at)


@dataclass(frozen=True)
class Collection:
    """The resources or modules of a loop, which only an index tells apart."""

    items: list[Any]
    of: Instance
    name: str

    def item(self, index: Any, at: Place) -> Any:
        if isinstance(index, int) and 0 <= index < len(self.items):
            return self.items[index]
        return self.of.note(at, f"{self.name} has no item {index}")

    def member(self, name: str, at: Place, *, safe: bool) -> Any:
        del safe
        return self.of.note(at, f"{self.name} is a loop: it needs an index before .{name}")


class Instance:
    """A file with its parameters, deployed somewhere."""

    def __init__(
        self,
        run: Run,
        path: str,
        given: dict[str, Any],
        scope: str,
        inside: str,
        called_by: Declaration | None = None,
    ) -> None:
        self.run = run
        self.file = run.file(path)
        self.scope = scope
        self.path = inside
        self._given = given
        self._found: dict[str, Any] = {}
        self._looking: set[str] = set()
        self._check_given(called_by)
        self._note_order()

    def note(self, at: Place, what: str) -> Unknown:
        return self.run.note(at, what)

    # What is given

    def _check_given(self, called_by: Declaration | None) -> None:
        at = called_by.at if called_by else Place(self.file.path, 1)
        known = {each.name: each for each in self.file.of("param")}
        for name in sorted(self._given.keys() - known.keys()):
            self.note(at, f"{self.file.path} has no parameter {name}")
        for name, each in known.items():
            is_needed = each.value is None and not each.nullable
            if is_needed and name not in self._given:
                self.note(at, f"{self.file.path} needs the parameter {name}")
            if each.value is not None and name not in self._given:
                usual = evaluate(each.value, self)
                why = conforms(usual, each, self.file) if usual is not UNKNOWN else ""
                if why:
                    self.note(each.at, f"the default of {name} is wrong: it {why}")
        for name, value in self._given.items():
            if name in known and value is not UNKNOWN:
                why = conforms(value, known[name], self.file)
                if why:
                    self.note(at, f"the parameter {name} of {self.file.path} {why}")

    def _note_order(self) -> None:
        for symbol, waited in waits_of(self.file.path, self.file.text):
            node = (self.path, symbol)
            self.run.waits.setdefault(node, set()).update((self.path, each) for each in waited)

    # What is found

    def is_true(self, declaration: Declaration, names: Scope) -> bool:
        if declaration.condition is None:
            return True
        condition = declaration.condition
        found = self.once(
            f"condition of {declaration.name}", declaration, lambda: evaluate(condition, names)
        )
        if not isinstance(found, bool):
            if found is not UNKNOWN:
                self.note(declaration.at, "its condition is neither true nor false")
            return True
        return found

    def value_of(self, name: str, at: Place) -> Any:
        if name not in self._found:
            found = self.once(name, at, lambda: self._look(name, at))
            if name in self._looking:
                return found  # it asks for itself, further out
            self._found[name] = found
        return self._found[name]

    def once(self, what: str, declared: Declaration | Place, look: Callable[[], Any]) -> Any:
        """Look for something that may turn out to ask for itself."""
        at = declared if isinstance(declared, Place) else declared.at
        if what in self._looking:
            return self.note(at, f"{what} asks for itself")
        self._looking.add(what)
        try:
            return look()
        finally:
            self._looking.discard(what)

    def _look(self, name: str, at: Place) -> Any:
        found = self.file.symbols.get(name)
        if found is None:
            return self.note(at, f"nothing is called {name}")
        if found.kind == "param" and name in self._given:
            return self._given[name]
        if found.kind in {"param", "var"}:
            return (
                evaluate(found.value, self)
                if found.value is not None
                else (None if found.nullable else UNKNOWN)
            )
        if found.kind in {"resource", "module"}:
            made = Resource if found.kind == "resource" else Module
            if found.loop is None:
                return made(self, found, self)
            each = [made(self, found, turn) for turn in turns(found.loop, self)]
            return Collection(each, self, name)
        return self.note(at, f"{name} is no value")

    def deployed(self) -> Iterator[Deployed]:
        """Yield what the file creates."""
        for each in self.file.declarations:
            if each.kind in {"resource", "module"}:
                found = self.value_of(each.name, each.at)
                for one in found.items if isinstance(found, Collection) else [found]:
                    yield from one.deployed()
        for each in self.file.of("output"):
            if each.value is not None:
                evaluate(each.value, self)

    def ask(self, function: str, arguments: tuple[Any, ...], at: Place) -> Any:
        own = self.file.symbols.get(function)
        if own is not None and own.kind == "func" and own.value is not None:
            given = dict(zip(own.parameters, arguments, strict=False))
            return evaluate(own.value, Local(self, given))
        if function == "resourceGroup":
            return self._group(at, *arguments)
        if function == "subscription":
            above = f"/subscriptions/{arguments[0]}" if arguments else SUBSCRIPTION
            return ScopeOf(above, self.run)
        known_here = asking.ANSWERS.get(function)
        if known_here is None:
            return self.note(at, f"the reader knows no function {function}")
        here = asking.Here(self.run.files, self.file.path, self.scope, self.path)
        try:
            return known_here(here, *arguments)
        except asking.CantAnswerError as error:
            return self.note(at, str(error))

    def _group(self, at: Place, *names: str) -> Any:
        if names:
            *subscription, name = names
            above = f"/subscriptions/{subscription[0]}" if subscription else SUBSCRIPTION
            return ScopeOf(f"{above}/resourceGroups/{name}", self.run)
        if self.file.scope != "resourceGroup":
            return self.note(at, f"a file for a {self.file.scope} has no resource group")
        return ScopeOf(self.scope, self.run)
