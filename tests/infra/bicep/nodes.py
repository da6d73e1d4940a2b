"""Bicep as declarations and expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Finding:
    """Something wrong: where and what."""

    at: Place
    what: str

    def __str__(self) -> str:
        return f"{self.at}: {self.what}"


# Expressions


@dataclass(frozen=True)
class Literal:
    at: Place
    value: str | int | bool | None


@dataclass(frozen=True)
class Text:
    """A string with holes: texts and expressions by turns."""

    at: Place
    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Name:
    at: Place
    name: str


@dataclass(frozen=True)
class Member:
    at: Place
    of: Expression
    name: str
    safe: bool = False


@dataclass(frozen=True)
class Index:
    at: Place
    of: Expression
    index: Expression
    safe: bool = False


@dataclass(frozen=True)
class Nested:
    """A resource inside another: `parent::child`."""

    at: Place
    of: Expression
    name: str


@dataclass(frozen=True)
class Call:
    at: Place
    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Unary:
    at: Place
    operator: str
    of: Expression


@dataclass(frozen=True)
class Binary:
    at: Place
    left: Expression
    operator: str
    right: Expression


@dataclass(frozen=True)
class Choice:
    at: Place
    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Array:
    at: Place
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Object:
    at: Place
    members: tuple[tuple[Expression, Expression], ...]
    resources: tuple[Declaration, ...] = ()

    def get(self, name: str) -> Expression | None:
        """Return a member by its plain name."""
        for key, value in self.members:
            if isinstance(key, Literal) and key.value == name:
                return value
        return None

    def without(self, *names: str) -> Object:
        """Return it without some members, and without the resources in it."""
        kept = tuple(
            (key, value)
            for key, value in self.members
            if not (isinstance(key, Literal) and key.value in names)
        )
        return replace(self, members=kept, resources=())


@dataclass(frozen=True)
class For:
    at: Place
    item: str
    index: str
    source: Expression
    body: Expression


@dataclass(frozen=True)
class If:
    at: Place
    condition: Expression
    body: Expression


@dataclass(frozen=True)
class Lambda:
    at: Place
    parameters: tuple[str, ...]
    body: Expression


@dataclass(frozen=True)
class Unread:
    """What the grammar could not make sense of; a finding stands for it."""

    at: Place


type Expression = (
    Literal
    | Text
    | Name
    | Member
    | Index
    | Nested
    | Call
    | Unary
    | Binary
    | Choice
    | Array
    | Object
    | For
    | If
    | Lambda
    | Unread
)


# Declarations


@dataclass(frozen=True)
class Declaration:
    """A parameter, variable, resource, module, output, type or function.

    Attributes:
        at: where.
        kind: `param`, `var`, `resource`, `module`, `output`, `type` or `func`.
        name: its symbol.
        value: its value or body; `None` for a parameter without a default.
        type: of a parameter or output, as written; of a resource, without the version.
        version: of a resource's API.
        path: of a module's file, as written.
        existing: whether the resource is only referred to.
        decorators: by name, each with its arguments.
        parameters: of a function.
        ignored: what a comment above tells the compiler not to warn of.
    """

    at: Place
    kind: str
    name: str
    value: Expression | None = None
    type: str = ""
    version: str = ""
    path: str = ""
    existing: bool = False
    decorators: dict[str, tuple[Expression, ...]] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()

    @property
    def nullable(self) -> bool:
        return self.type.endswith("?")

    @property
    def loop(self) -> For | None:
        return self.value if isinstance(self.value, For) else None

    @property
    def condition(self) -> Expression | None:
        inner = self.value.body if isinstance(self.value, For) else self.value
        return inner.condition if isinstance(inner, If) else None

    @property
    def body(self) -> Object | None:
        """The object of a resource or module, below its loop and its condition."""
        inner = self.value.body if isinstance(self.value, For) else self.value
        inner = inner.body if isinstance(inner, If) else inner
        return inner if isinstance(inner, Object) else None


@dataclass(frozen=True)
class File:
    """One Bicep file.

    Attributes:
        path: below the root of the project.
        text: as it stands.
        scope: what it is deployed to: `resourceGroup` or `subscription`.
        declarations: in their order.
        findings: what could not be read.
    """

    path: str
    text: str
    scope: str
    declarations: tuple[Declaration, ...]
    findings: tuple[Finding, ...]

    def of(self, kind: str) -> list[Declaration]:
        return [each for each in self.declarations if each.kind == kind]

    @cached_property
    def symbols(self) -> dict[str, Declaration]:
        """Everything that an expression may name."""
        return {each.name: each for each in self.declarations if each.kind != "output"}


def parts(expression: Expression | None) -> Iterator[Expression]:  # noqa: C901 - a case a kind
    """Walk an expression down to its names and literals; resources inside are not entered."""
    if expression is None:
        return
    yield expression
    match expression:
        case Text(_, within) | Array(_, within) | Call(_, _, within):
            children = list(within)
        case Member(_, of) | Nested(_, of) | Unary(_, _, of):
            children = [of]
        case Index(_, of, index):
            children = [of, index]
        case Binary(_, left, _, right):
            children = [left, right]
        case Choice(_, condition, then, otherwise):
            children = [condition, then, otherwise]
        case Object(_, members):
            children = [each for pair in members for each in pair]
        case For(_, _, _, source, body):
            children = [source, body]
        case If(_, condition, body):
            children = [condition, body]
        case Lambda(_, _, body):
            children = [body]
        case _:
            children = []
    for child in children:
        yield from parts(child)
