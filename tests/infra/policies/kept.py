"""What holds events keeps them as the routes and the parameters say."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.infra.bicep.deployed import Deployed
from tests.infra.bicep.nodes import Finding
from tests.infra.policies.policy import policy
from tests.infra.project import ROUTES, SCENARIOS, Project

LETTERS = "infra/modules/dead-letters.bicep"
TWINS_LETTERS = "infra/modules/twins-dead-letters.bicep"


@policy("Hubs, queues and topics keep what the routes count on: order, sessions, retention")
def entities(project: Project) -> Iterator[Finding]:
    routes = [route["destination"] for route in json.loads(project.files[ROUTES])]
    sessions = {
        route["queue"]: route.get("session", False) for route in routes if "queue" in route
    }
    for _, each in project.each("Microsoft.EventHub/namespaces/eventhubs"):
        hours = each.get("properties.retentionDescription.retentionTimeInHours")
        if (
            hours != _HOURS
            or each.get("properties.retentionDescription.cleanupPolicy") != "Delete"
        ):
            yield Finding(each.at, f"{each.name} does not keep events for {_HOURS} hours")
    bus = "Microsoft.ServiceBus/namespaces"
    for _, each in project.each(f"{bus}/queues", f"{bus}/topics"):
        if each.get("properties.requiresDuplicateDetection") is not False:
            yield Finding(each.at, f"{each.name} drops events whose ids are not unique")
    for _, each in project.each(f"{bus}/queues"):
        wanted = sessions.get(str(each.body["name"]))
        if each.get("properties.requiresSession") is not wanted:
            yield Finding(each.at, f"{each.name}: its route says session {wanted}")
        if each.get("properties.lockDuration") != "PT5M":
            yield Finding(each.at, f"{each.name} lends messages for another time")
    for _, each in project.each(f"{bus}/topics"):
        if each.get("properties.supportOrdering") is not True:
            yield Finding(each.at, f"{each.name} does not keep the order")


_HOURS = 168
"""The longest that the Standard tier grants; it is how long Blob may be out of reach."""


@policy("Dead letters are deleted by age, or kept unchanged, just where a parameter says so")
def letters_kept(project: Project) -> Iterator[Finding]:
    for name, deployment in project.deployments.items():
        days = SCENARIOS[name].get("deadLetterRetentionDays", 0)
        fixed = SCENARIOS[name].get("deadLetterImmutableDays", 0)
        for each in deployment.of("Microsoft.Storage/storageAccounts/managementPolicies"):
            yield from _rules(each, days, fixed)
        account = "Microsoft.Storage/storageAccounts/blobServices"
        found = deployment.of(f"{account}/containers/immutabilityPolicies")
        told = [each.get("properties.immutabilityPeriodSinceCreationInDays") for each in found]
        at = next(iter(deployment.files.values())).declarations[0].at
        if told != ([fixed] if fixed else []):
            yield Finding(at, f"dead letters are immutable for {told}, not for {fixed} days")
        for container in deployment.of(f"{account}/containers"):
            versioned = container.get("properties.immutableStorageWithVersioning.enabled")
            blobs = deployment.by_id(container.id.rpartition("/containers/")[0])
            has_versions = blobs is not None and blobs.get("properties.isVersioningEnabled")
            is_relays = container.at.path == LETTERS
            if is_relays and not versioned is has_versions is bool(fixed):
                yield Finding(container.at, f"{container.name}: its versions are not kept")


@policy("What is deleted by mistake can be had again for some days")
def soft_delete(project: Project) -> Iterator[Finding]:
    account = "Microsoft.Storage/storageAccounts/blobServices"
    for _, each in project.each(account):
        kinds = {
            LETTERS: ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"),
            TWINS_LETTERS: ("deleteRetentionPolicy",),
        }
        for kind in kinds.get(each.at.path, ()):
            told = each.get(f"properties.{kind}", {})
            if told.get("enabled") is not True or not told.get("days"):
                yield Finding(each.at, f"{each.name}: {kind} is {told}")


def _rules(each: Deployed, days: int, fixed: int) -> Iterator[Finding]:
    wanted = {
        "markers-of-the-doctor": ("baseBlob", "daysAfterModificationGreaterThan", 1),
        "dead-letters": ("baseBlob", "daysAfterModificationGreaterThan", days),
        "versions": ("version", "daysAfterCreationGreaterThan", fixed),
    }
    rules = {rule.get("name"): rule for rule in each.get("properties.policy.rules", [])}
    if rules.keys() != wanted.keys():
        yield Finding(each.at, f"its rules are {sorted(map(str, rules))}")
    for name, (what, by, age) in wanted.items():
        rule = rules.get(name, {})
        definition = rule.get("definition", {})
        told = definition.get("actions", {}).get(what, {}).get("delete", {}).get(by)
        if rule.get("enabled") is not bool(age) or (age and told != age):
            yield Finding(each.at, f"{name}: deletes after {told} days, not after {age}")
        if definition.get("filters", {}).get("blobTypes") != ["blockBlob"]:
            yield Finding(each.at, f"{name}: is for {definition.get('filters')}")
        prefixes = definition.get("filters", {}).get("prefixMatch", [])
        if not all("/" in prefix for prefix in prefixes) or not prefixes:
            yield Finding(each.at, f"{name}: its prefix {prefixes} names no container's blobs")
