"""The reader: what it makes of Bicep, and that it says so where it makes nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.bicep import shapes
from tests.infra.bicep.deployment import Deployment, deploy
from tests.infra.bicep.made_up import SUBSCRIPTION, client_of, principal_of
from tests.infra.bicep.nodes import Binary, Index, Lambda, Literal, Member, Name
from tests.infra.bicep.static import static_findings
from tests.infra.bicep.syntax import parse

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-test"


def value(text: str, before: str = "") -> Any:
    """Calculate one expression."""
    made = deploy({"main.bicep": f"{before}\noutput it object = {text}\n"}, "main.bicep")
    assert made.findings == [], made.findings
    return made.outputs["it"]


def made(text: str, files: dict[str, str] | None = None, **given: Any) -> Deployment:
    return deploy({"main.bicep": text, **(files or {})}, "main.bicep", given)


def told(text: str, files: dict[str, str] | None = None, **given: Any) -> list[str]:
    return [each.what for each in made(text, files, **given).findings]


# Parsing


def test_operators_bind_as_in_bicep_and_not_as_in_the_grammar() -> None:
    read = parse("x", "var it = a ?? b[0].c && d == e.f").symbols["it"].value

    assert isinstance(read, Binary)
    assert (read.operator, read.left) == ("??", Name(read.left.at, "a"))
    assert isinstance(read.right, Binary)
    assert read.right.operator == "&&"
    assert isinstance(read.right.left, Member)
    assert isinstance(read.right.left.of, Index)


def test_a_lambda_reaches_to_the_end_of_its_argument() -> None:
    read = parse("x", "var it = filter(a, b => b.c == 1 && d)").symbols["it"].value

    assert isinstance(getattr(read, "arguments", None), tuple)
    assert isinstance(read.arguments[1], Lambda)  # type: ignore[union-attr]
    assert isinstance(read.arguments[1].body, Binary)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"'it\'s ${'x'} \${y}\n\u{41}'", "it's x ${y}\nA"),
        ("'''\nas it 'is' ${x}'''", "as it 'is' ${x}"),
        ("-1 + 2 * 3 - 4 / 2 % 3", 3),
        ("1 < 2 && 'a' =~ 'A' && !false", True),
        ("false ? 1 : true ? 2 : 3", 2),
        ("[last([1, 2]), first('ab')]", [2, "a"]),
        ("[\n  union([1], [1, 2])\n  [3]\n]", [[1, 2], [3]]),
        ("{ 'a-b': 1, '${'c'}': { d: null } }", {"a-b": 1, "c": {"d": None}}),
        ("[for (x, i) in [5, 6]: x * i]", [0, 6]),
        ("[\n  split('a/b', '/')[1]\n  [6, 7][1]\n]", ["b", 7]),
        ("last([{ a: 1 }])!.a", 1),
        ("{ a: 1 }.?b ?? 'none'", "none"),
        ("{ a: 1 }['a']", 1),
        ("map([1, 2], x => { v: x })", [{"v": 1}, {"v": 2}]),
        ("toObject(['a'], k => k, k => '${k}!')", {"a": "a!"}),
        ("sort([3, 1, 2], (a, b) => a < b)", [1, 2, 3]),
        ("reduce([1, 2, 3], 0, (a, b) => a + b)", 6),
        ("union({ a: { b: 1 } }, { a: { c: 2 } })", {"a": {"b": 1, "c": 2}}),
        ("items({ b: 1, a: 2 })", [{"key": "a", "value": 2}, {"key": "b", "value": 1}]),
        ("format('{0}-{1}', 'a', 1)", "a-1"),
        ("split('a/b/c', '/')[2]", "c"),
        ("cidrSubnet('10.0.0.0/24', 26, 1)", "10.0.0.64/26"),
        ("contains('abc', 'b') && empty([]) && !contains(['a'], 'b')", True),
        ("sys.toUpper('a')", "A"),
        ("string({ a: [1, true] })", '{"a":[1,true]}'),
        ("resourceGroup().id", GROUP),
        ("subscriptionResourceId('A.B/c', 'd')", f"{SUBSCRIPTION}/providers/A.B/c/d"),
        ("resourceId('A.B/c/d', 'e', 'f')", f"{GROUP}/providers/A.B/c/e/d/f"),
    ],
)
def test_an_expression_is_worth(text: str, expected: object) -> None:
    assert value(text) == expected


def test_functions_of_ones_own_and_variables_are_followed() -> None:
    before = "func named(a string, b int) string => '${a}-${b}'\nvar x = [1]\n"

    assert value("named('n', x[0])", before) == "n-1"


def test_what_azure_makes_up_is_the_same_for_the_same() -> None:
    assert value("[guid('a'), guid('a', 'b'), uniqueString('a')]") == value(
        "[guid('a'), guid('a', 'b'), uniqueString('a')]"
    )
    assert len(value("uniqueString('a')")) == 13


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("resource x 'A.B/c@1' = {", "here should stand }"),
        ("var x = {\n  ...y\n}", "spread"),
        ("var x = 1\nvar x = 2", "x is declared twice"),
        ("var x = ", ""),
    ],
)
def test_what_does_not_parse_is_said_with_its_line(text: str, what: str) -> None:
    findings = parse("some/file.bicep", text).findings

    assert any(
        what in each.what and str(each).startswith("some/file.bicep:") for each in findings
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("var x = y", "nothing is called y"),
        ("var x = nosuch(1)", "there is no function nosuch"),
        ("var x = split('a')", "split does not take 1 arguments"),
        ("param x string", "x is not used"),
        ("var x = utcNow()", "utcNow may stand in a parameter's default only"),
        (
            (
                "resource a 'A.B/c@1' = {\n  name: 'a'\n}\n"
                "resource b 'A.B/c@1' = {\n  name: a.properties.x\n}"
            ),
            "b must be known at the start, and a.properties is not",
        ),
        (
            (
                "module m 'm.bicep' = {\n  name: 'm'\n}\nvar n = m.outputs.x\n"
                "resource b 'A.B/c@1' = if (n == 'y') {\n  name: 'b'\n}"
            ),
            "b must be known at the start, and m.outputs is not",
        ),
    ],
)
def test_what_is_wrong_wherever_it_leads_is_said(text: str, what: str) -> None:
    assert what in [each.what for each in static_findings(parse("x", text))]


# Deploying

NESTED = """
param names array = ['a', 'b']
resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'account'
  properties: {
    allowSharedKeyAccess: false
  }
  resource blobs 'blobServices' = {
    name: 'default'
  }
}
resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
for (name, i) in names: if (i == 1) {
  parent: account::blobs
  name: name
}]
resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  scope: containers[1]
  name: 'lock'
}
output uri string = account.properties.primaryEndpoints.blob
"""


def test_resources_have_ids_by_parent_nesting_loop_condition_and_scope() -> None:
    done = made(NESTED)
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/account"
    container = f"{account}/blobServices/default/containers/b"

    assert done.findings == []
    assert [each.id for each in done.resources] == [
        account,
        f"{account}/blobServices/default",
        container,
        f"{container}/providers/Microsoft.Authorization/locks/lock",
    ]
    assert done.resources[1].version == "2025-06-01"
    assert done.outputs == {"uri": "https://account.blob.core.windows.net/"}


def test_a_resource_waits_for_what_it_names_through_whatever() -> None:
    done = made(NESTED)
    account, blobs, container, lock = done.resources

    assert done.waits_for(lock, account)
    assert done.waits_for(container, blobs)
    assert not done.waits_for(account, lock)
    assert not done.waits_for(account, account)


MODULES = {
    "modules/identity.bicep": """
param name string
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
}
output principalId string = identity.properties.principalId
output clientId string = identity.properties.clientId
""",
    "modules/user.bicep": """
@allowed(['one', 'two'])
param kind string
@minValue(2)
param count int = 2
param who string?
resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${kind}-${count}-${who ?? 'nobody'}'
}
""",
}
MAIN = """
targetScope = 'subscription'
param with bool = true
resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-x'
}
module identity 'modules/identity.bicep' = if (with) {
  name: 'identity'
  scope: group
  params: {
    name: 'me'
  }
}
module user 'modules/user.bicep' = {
  name: 'user'
  scope: resourceGroup(group.name)
  params: {
    kind: 'one'
    who: with ? identity!.outputs.clientId : null
  }
}
"""


def test_modules_get_parameters_and_give_outputs() -> None:
    done = made(MAIN, MODULES)
    identity = f"{SUBSCRIPTION}/resourceGroups/rg-x/providers/"
    identity += "Microsoft.ManagedIdentity/userAssignedIdentities/me"

    assert done.findings == []
    assert [each.name for each in done.resources] == [
        "rg-x",
        "me",
        f"plan-one-2-{client_of(identity)}",
    ]
    assert done.resources[1].id == identity
    assert done.waits_for(done.resources[2], done.resources[1])
    assert done.waits_for(done.resources[1], done.resources[0])
    assert client_of(identity) != principal_of(identity)


def test_what_is_not_deployed_gives_nothing() -> None:
    names = [each.name for each in made(MAIN, MODULES, **{"with": False}).resources]

    assert names == ["rg-x", "plan-one-2-nobody"]
    assert told(
        MAIN.replace("with ? identity!.outputs.clientId : null", "identity.outputs.clientId"),
        MODULES,
        **{"with": False},
    ) == ["an output of identity is read, and it is not deployed"]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("kind: 'one'", "", "modules/user.bicep needs the parameter kind"),
        (
            "kind: 'one'",
            "kind: 'three'",
            "the parameter kind of modules/user.bicep takes one of",
        ),
        (
            "kind: 'one'",
            "kind: 'one'\ncount: 'x'",
            "the parameter count of modules/user.bicep takes int",
        ),
        (
            "kind: 'one'",
            "kind: 'one'\ncount: 1",
            "the parameter count of modules/user.bicep takes 2 to 1",
        ),
        ("kind: 'one'", "kind: 'one'\nsize: 1", "modules/user.bicep has no parameter size"),
        (
            "outputs.clientId",
            "outputs.objectId",
            "modules/identity.bicep has no output objectId",
        ),
        ("modules/user.bicep", "modules/nobody.bicep", "there is no file modules/nobody.bicep"),
        (
            "with bool = true",
            "with bool = 'yes'",
            "the default of with is wrong: it takes bool",
        ),
        ("if (with)", "if ('with')", "its condition is neither true nor false"),
        (
            "resourceGroup(group.name)",
            "resourceGroup()",
            "a file for a subscription has no resource group",
        ),
        ("name: 'rg-x'", "name: 'rg-${group.name}'", "name of group asks for itself"),
    ],
)
def test_what_does_not_fit_between_files_is_said(old: str, new: str, what: str) -> None:
    assert any(each.startswith(what) for each in told(MAIN.replace(old, new), MODULES))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("resource x 'A.B/c/d@1' = {\n  name: 'x'\n}", "A.B/c/d takes 2 names, not 1"),
        ("resource x 'A.B/c@1' = {\n  id: 'x'\n}", "x has no name"),
        ("var a = b\nvar b = a\noutput it string = a", "a asks for itself"),
        ("output it string = loadTextContent('none.txt')", "there is no file none.txt"),
        ("output it int = 1 + 'a'", "+ can't take that: it adds numbers only"),
        ("output it string = [1][1]", "there is no item 1"),
        ("output it string = {}.a", "there is no member a"),
        (
            (
                "resource x 'Microsoft.Storage/storageAccounts@1' = {\n  name: 'x'\n}\n"
                "output it string = x.properties.nothing"
            ),
            "Microsoft.Storage/storageAccounts has no properties.nothing",
        ),
        (
            (
                "resource x 'A.B/c@1' = [for n in [1, 2]: {\n  name: 'x${n}'\n}]\n"
                "output it string = x.id"
            ),
            "x is a loop: it needs an index before .id",
        ),
        (
            "resource x 'A.B/c@1' = [for n in [1, 2]: {\n  name: 'x'\n}]",
            f"more than one resource has the id {GROUP}/providers/A.B/c/x",
        ),
        ("output it array = list('x')", "the reader knows no function list"),
    ],
)
def test_what_cannot_be_calculated_is_said(text: str, what: str) -> None:
    assert any(each.startswith(what) for each in told(text))


# Shapes


@pytest.mark.parametrize(
    ("kind", "body", "what"),
    [
        ("Microsoft.EventHub/namespaces", {"properties": {"disableLocalAuth": True}}, ""),
        (
            "Microsoft.EventHub/namespaces",
            {"properties": {"disablelocalauth": True}},
            "properties.disablelocalauth: no such member; disableLocalAuth there is",
        ),
        (
            "Microsoft.EventHub/namespaces",
            {"properties": {"minimumTlsVersion": "1.4"}},
            "properties.minimumTlsVersion: takes one of ['1.0', '1.1', '1.2', '1.3']",
        ),
        (
            "Microsoft.EventHub/namespaces",
            {"properties": {"status": "Active"}},
            "properties.status: only Azure sets it",
        ),
        (
            "Microsoft.DigitalTwins/digitalTwinsInstances/endpoints",
            {"properties": {"endpointType": "EventGrid", "entityPath": "x"}},
            "properties.entityPath: no such member",
        ),
        (
            "Microsoft.Storage/storageAccounts",
            {"sku": {"name": "Standard_XYZ"}},
            "sku.name: takes one of",
        ),
        (
            "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies",
            {"properties": {"immutabilityPeriodSinceCreationInDays": "3"}},
            "properties.immutabilityPeriodSinceCreationInDays: takes int, not '3'",
        ),
        ("Microsoft.Unheard/of", {}, "no shape of Microsoft.Unheard/of is known"),
    ],
)
def test_a_shape_tells_what_azure_would_not_know(
    kind: str, body: dict[str, Any], what: str
) -> None:
    found = list(shapes.wrong(kind, "x", body))

    assert any(each.startswith(what) for each in found) if what else found == []


def test_a_literal_is_what_stands_there() -> None:
    read = parse("x", "var it = 'x'").symbols["it"].value

    assert isinstance(read, Literal)
    assert read.value == "x"
