"""Bicep as declarations and expressions, parsed by tree-sitter-bicep.

The grammar (1.1.0) binds operators wrongly: `a ?? b[0]` comes out as `(a ?? b)[0]`, and `=>`
holds tighter than `==`. So its operators are laid flat and bound here, in the order that
Azure/bicep has. It does not know spread (`...x`): that is a finding, so that no template
is half read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from tests.infra.bicep.nodes import (
    Array,
    Binary,
    Call,
    Choice,
    Declaration,
    Expression,
    File,
    Finding,
    For,
    If,
    Index,
    Lambda,
    Literal,
    Member,
    Name,
    Nested,
    Object,
    Place,
    Text,
    Unary,
    Unread,
)

_PARSER = Parser(Language(tree_sitter_bicep.language()))


@cache
def parse(path: str, text: str) -> File:
    """Read one file; what can't be read is among its findings."""
    root = _PARSER.parse(text.encode()).root_node
    reader = _Reader(path)
    declarations = tuple(reader.declarations(root))
    twice = {
        each.name
        for number, each in enumerate(declarations)
        for other in declarations[:number]
        if each.name == other.name and "output" not in {each.kind, other.kind}
    }
    reader.findings += [
        Finding(each.at, f"{each.name} is declared twice")
        for each in declarations
        if each.name in twice
    ]
    return File(path, text, reader.scope, declarations, tuple(reader.findings))


_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "type_declaration": "type",
    "user_defined_function": "func",
}
_TYPES = {
    "type",
    "primitive_type",
    "union_type",
    "array_type",
    "nullable_type",
    "parenthesized_type",
    "negated_type",
}


_SCOPES = {"managementGroup", "resourceGroup", "subscription", "tenant"}
_OPERATORS = {
    "binary_expression",
    "call_expression",
    "lambda_expression",
    "member_expression",
    "nullable_type",  # what the grammar takes `x!` for
    "resource_expression",
    "subscript_expression",
    "ternary_expression",
    "unary_expression",
}
_NAMESPACES = {"az", "sys"}
_BINDING = {
    "??": 1,
    "||": 2,
    "&&": 3,
    **dict.fromkeys(("==", "!=", "=~", "!~"), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
}
"""How tightly an operator of two sides holds."""


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self.scope = "resourceGroup"
        self.findings: list[Finding] = []

    def at(self, node: Node) -> Place:
        return Place(self._path, node.start_point[0] + 1)

    def unread(self, node: Node, what: str) -> Unread:
        self.findings.append(Finding(self.at(node), what))
        return Unread(self.at(node))

    def declarations(self, root: Node) -> Iterator[Declaration]:
        """Read the declarations of a file, or of the resource in whose body they stand."""
        self._look_for_errors(root)
        yield from self._declared(root.named_children)

    def _declared(self, nodes: list[Node]) -> Iterator[Declaration]:
        decorators: dict[str, tuple[Expression, ...]] = {}
        ignored: frozenset[str] = frozenset()
        for node in nodes:
            if node.type == "decorators":
                decorators = dict(map(self._decorator, node.named_children))
            elif node.type == "diagnostic_comment":
                ignored = frozenset(_text(node).split()[1:])
            elif node.type in _KINDS:
                yield replace(self._declaration(node), decorators=decorators, ignored=ignored)
                decorators, ignored = {}, frozenset()
            elif node.type == "target_scope_assignment":
                self.scope = _text(node.named_children[-1]).strip("'")
                if self.scope not in _SCOPES:
                    self.unread(node, f"a file is for one of {sorted(_SCOPES)}")
            elif node.type not in {"comment", "ERROR", "metadata_declaration"}:
                self.unread(node, f"the reader knows no {node.type}")

    def _look_for_errors(self, node: Node) -> None:
        if node.is_missing:
            self.unread(node, f"here should stand {node.type}")
        elif node.type == "ERROR":
            what = " ".join(_text(node).split())[:40]
            why = "spread (...) is beyond the grammar: use union()" if "..." in what else ""
            self.unread(node, why or f"this does not parse: {what}")
        elif node.has_error:
            for child in node.children:
                self._look_for_errors(child)

    def _decorator(self, node: Node) -> tuple[str, tuple[Expression, ...]]:
        if not node.named_children:
            return "", ()  # a finding stands for it
        call = self.expression(node.named_children[0])
        if not isinstance(call, Call):
            return "", ()
        return call.function.removeprefix("sys."), call.arguments

    def _declaration(self, node: Node) -> Declaration:
        kind = _KINDS[node.type]
        name, *rest = [child for child in node.named_children if child.type != "comment"]
        made = Declaration(self.at(node), kind, _text(name))
        if kind in {"resource", "module"}:
            return self._with_body(node, made, rest)
        if kind == "func":
            parameters = tuple(_text(each.named_children[0]) for each in rest[0].named_children)
            value = self.expression(rest[-1])
            return replace(made, parameters=parameters, value=value)
        if kind == "type":
            return replace(made, type=_text(rest[0]) if rest else "")
        types = [child for child in rest if child.type in _TYPES]
        values = [child for child in rest if child.type not in _TYPES and child.type != "ERROR"]
        return replace(
            made,
            type=" ".join(_text(types[0]).split()) if types else "",
            value=self._value(node, values),
        )

    def _with_body(self, node: Node, made: Declaration, rest: list[Node]) -> Declaration:
        said, *values = rest
        told = self.expression(said)
        written = told.value if isinstance(told, Literal) else ""
        value = self._value(node, [child for child in values if child.type != "ERROR"])
        if made.kind == "module":
            return replace(made, path=str(written), value=value)
        kind, _, version = str(written).partition("@")
        existing = any(child.type == "existing" for child in node.children)
        return replace(made, type=kind, version=version, existing=existing, value=value)

    def _value(self, node: Node, nodes: list[Node]) -> Expression | None:
        """Read what follows `=`; a loop stands there without its brackets' node."""
        nodes = [each for each in nodes if each.type not in {"comment", "diagnostic_comment"}]
        if not nodes:
            return None
        if len(nodes) > 1:
            return self.unread(node, "more than one value")
        return self.expression(nodes[0])

    def expression(self, node: Node) -> Expression:
        """Read an expression."""
        try:
            return self._read(node)
        except (ValueError, IndexError, RecursionError):  # no form that the grammar gives
            return self.unread(node, f"this does not parse: {_text(node)[:40]}")

    def _read(self, node: Node) -> Expression:
        if node.type in _OPERATORS:
            return _Bound(self, node).expression
        read = getattr(self, f"_{node.type}", None)
        if read is None:
            return self.unread(node, f"the reader knows no {node.type}")
        found: Expression = read(node)
        return found

    def _identifier(self, node: Node) -> Expression:
        return Name(self.at(node), _text(node))

    _compatible_identifier = _identifier

    def _number(self, node: Node) -> Expression:
        return Literal(self.at(node), int(_text(node)))

    def _boolean(self, node: Node) -> Expression:
        return Literal(self.at(node), _text(node) == "true")

    def _null(self, node: Node) -> Expression:
        return Literal(self.at(node), None)

    def _string(self, node: Node) -> Expression:
        """Read a string by its bytes: the grammar leaves `\\$` out of its tree."""
        at = self.at(node)
        written = node.text or b""
        if written.startswith(b"'''"):
            return Literal(at, re.sub(r"^\r?\n", "", written[3:-3].decode()))
        parts: list[Expression] = []
        start = 1
        for hole in (each for each in node.named_children if each.type == "interpolation"):
            begin = hole.start_byte - node.start_byte
            parts.append(Literal(at, _unescaped(written[start:begin].decode())))
            parts.append(self.expression(hole.named_children[0]))
            start = hole.end_byte - node.start_byte
        last = _unescaped(written[start:-1].decode())
        return Text(at, (*parts, Literal(at, last))) if parts else Literal(at, last)

    def _array(self, node: Node) -> Expression:
        """Read an array; `[f(x)]` comes out of the grammar as `f` and `(x)`, side by side."""
        chains: list[list[Node]] = []
        for each in _meant(node):
            if chains and each.start_byte == chains[-1][-1].end_byte:
                chains[-1].append(each)
            else:
                chains.append([each])
        items = (
            _Bound(self, *chain).expression if chain[1:] else self.expression(chain[0])
            for chain in chains
        )
        return Array(self.at(node), tuple(items))

    def _object(self, node: Node) -> Expression:
        members: list[tuple[Expression, Expression]] = []
        within: list[Node] = []
        for each in node.named_children:
            inner = _meant(each)
            if each.type == "object_property" and inner[0].type == "resource_declaration":
                within += inner
            elif each.type == "object_property":
                members.append(self._property(each))
            else:
                within.append(each)
        return Object(self.at(node), tuple(members), tuple(self._declared(within)))

    def _property(self, node: Node) -> tuple[Expression, Expression]:
        key, *values = _meant(node)
        plain = key.type in {"identifier", "property_identifier", "compatible_identifier"}
        name = Literal(self.at(key), _text(key)) if plain else self.expression(key)
        value = self._value(node, values)
        return name, value or self.unread(node, "a property without a value")

    def _interpolation(self, node: Node) -> Expression:
        return self.expression(node.named_children[0])

    def _parenthesized_expression(self, node: Node) -> Expression:
        return self.expression(_meant(node)[0])

    def _for_statement(self, node: Node) -> Expression:
        parameters, source, body = _meant(node)
        item, *index = re.findall(r"\w+", _text(parameters))
        return For(
            self.at(node),
            item,
            index[0] if index else "",
            self.expression(source),
            self.expression(body),
        )

    def _if_statement(self, node: Node) -> Expression:
        condition, body = _meant(node)
        return If(self.at(node), self.expression(condition), self.expression(body))


class _Bound:
    """One chain of operators, bound anew; what stands between them is the reader's."""

    def __init__(self, reader: _Reader, *nodes: Node) -> None:
        self._reader = reader
        self._tokens = [token for node in nodes for token in _flat(node)]
        self._node = nodes[0]
        self._taken = nodes[0]

    @property
    def expression(self) -> Expression:
        read = self._choice()
        if self._tokens:
            return self._reader.unread(self._node, f"unexpected {_text(self._tokens[0])!r}")
        return read

    def _next(self) -> Node:
        return self._tokens.pop(0) if self._tokens else self._node

    def _takes(self, *words: str) -> str:
        """Take a token if it is one of these."""
        if not self._tokens or self._tokens[0].type not in words:
            return ""
        self._taken = self._tokens.pop(0)
        return self._taken.type

    def _is_called(self, after: Node) -> bool:
        """Whether arguments follow."""
        if not self._tokens:
            return False
        token = self._tokens[0]
        within = token.type == "parenthesized_expression" and token.start_byte == after.end_byte
        return token.type == "arguments" or within

    def _choice(self) -> Expression:
        at = self._reader.at(self._tokens[0] if self._tokens else self._node)
        condition = self._binary(1)
        if not self._takes("?"):
            return condition
        then = self._choice()
        if not self._takes(":"):
            return self._reader.unread(self._node, "a choice without ':'")
        return Choice(at, condition, then, self._choice())

    def _binary(self, least: int) -> Expression:
        left = self._unary()
        while self._tokens and _BINDING.get(self._tokens[0].type, 0) >= least:
            operator = self._next()
            right = self._binary(_BINDING[operator.type] + 1)
            left = Binary(self._reader.at(operator), left, operator.type, right)
        return left

    def _unary(self) -> Expression:
        if self._tokens and self._tokens[0].type in {"!", "-"}:
            operator = self._next()
            return Unary(self._reader.at(operator), operator.type, self._unary())
        return self._postfix(self._next())

    def _postfix(self, node: Node) -> Expression:
        if self._takes("=>"):
            names = tuple(re.findall(r"\w+", _text(node)))
            return Lambda(self._reader.at(node), names, self._choice())
        if _text(node) in _NAMESPACES and self._takes("."):
            node = self._next()
        if self._is_called(node):
            return self._further(Call(self._reader.at(node), _text(node), self._arguments()))
        return self._further(self._reader.expression(node))

    def _arguments(self) -> tuple[Expression, ...]:
        return tuple(map(self._reader.expression, _meant(self._next())))

    def _step(self, of: Expression, dot: str) -> Expression:
        name = self._next()
        if self._is_called(name):
            return Call(self._reader.at(name), _text(name), (of, *self._arguments()))
        if dot == "::":
            return Nested(self._reader.at(name), of, _text(name))
        return Member(self._reader.at(name), of, _text(name), dot == ".?")

    def _further(self, of: Expression) -> Expression:
        """Read on behind a value: members, indices, and `!`, which only calms the compiler."""
        while step := self._takes(".", ".?", "::", "[", "!", "nullable_return_type", "array"):
            if step == "[":
                safe = bool(self._takes("?"))
                of = Index(of.at, of, self._choice(), safe)
                if not self._takes("]"):
                    return self._reader.unread(self._node, "an index without ']'")
            elif step == "array":  # what the grammar takes an index inside an array for
                (within,) = _meant(self._taken)
                of = Index(of.at, of, self._reader.expression(within))
            elif step in {".", ".?", "::"}:
                of = self._step(of, step)
        return of


def _flat(node: Node) -> Iterator[Node]:
    """Lay the operators of a tree flat, each with what stands beside it."""
    if node.type not in _OPERATORS:
        yield node
        return
    for child in node.children:
        if child.type not in {"comment", "diagnostic_comment", "ERROR"}:
            yield from _flat(child)


def _meant(node: Node) -> list[Node]:
    """Return the children that mean something."""
    skipped = {"comment", "diagnostic_comment", "ERROR"}
    return [child for child in node.named_children if child.type not in skipped]


def _text(node: Node) -> str:
    return (node.text or b"").decode()


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", "\\": "\\", "$": "$"}


def _unescaped(text: str) -> str:
    def meant(found: re.Match[str]) -> str:
        return chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[0])

    return re.sub(r"\\(?:u\{([0-9a-fA-F]+)\}|(.))", meant, text)
