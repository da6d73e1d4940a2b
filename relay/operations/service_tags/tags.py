"""Service tags as Azure publishes them: the weekly file, or the Discovery API's answer.

Both have one shape. In the file `changeNumber` is a number, in the answer a text, and there
`platform` and `regionId` are absent (virtualnetwork REST reference, service tags list).
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

from relay.operations.service_tags.networks import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from relay.operations.service_tags.networks import Network

DIGITAL_TWINS: Final = "AzureDigitalTwins"


class ServiceTagsError(Exception):
    """A list of service tags that is of no use, or does not hold what was asked for."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One service tag.

    Attributes:
        name: such as `AzureDigitalTwins`, or `AzureDigitalTwins.WestEurope` for one region.
        region: as the file spells it, `""` for the whole: `centralfrance` for FranceCentral.
        change_number: rises when the tag changes.
        networks: where the service calls from.
    """

    name: str
    region: str
    change_number: int
    networks: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for of a list.

    Attributes:
        tag: the service.
        regions: the names of regional tags; none for the whole.
        change_number: of the whole tag.
        cloud: such as `Public`.
        networks: in order, each once.
        outside: how many networks of the whole tag belong to no region at all.
    """

    tag: str
    regions: tuple[str, ...]
    change_number: int
    cloud: str
    networks: tuple[Network, ...]
    outside: int = 0


@dataclass(frozen=True, slots=True)
class TagList:
    """All service tags of a cloud at one time."""

    cloud: str
    change_number: int
    tags: Mapping[str, Tag]

    def select(self, tag: str = DIGITAL_TWINS, regions: Sequence[str] = ()) -> Selection:
        """Return a service's networks, whole or those of some regions.

        Regions are looked up by the name of the regional tag or by its `region`, in any
        letters; neither is made up from the other, since they don't follow from each other.

        Raises:
            ServiceTagsError: there is no such tag or region.
        """
        whole = self._whole(tag)
        regional = self._regional(whole.name)
        chosen = [_region(name, regional, whole.name) for name in regions]
        inside = {network for each in regional for network in each.networks}
        return Selection(
            tag=whole.name,
            regions=tuple(sorted({each.name for each in chosen})),
            change_number=whole.change_number,
            cloud=self.cloud,
            networks=tuple(in_order(n for each in chosen or [whole] for n in each.networks)),
            outside=len(set(whole.networks) - inside) if chosen else 0,
        )

    def _whole(self, name: str) -> Tag:
        if found := self.tags.get(name.lower()):
            return found
        close = difflib.get_close_matches(name.lower(), self.tags, n=1)
        hint = f" Did you mean {self.tags[close[0]].name}?" if close else ""
        raise ServiceTagsError(f"the list has no service tag {name!r}.{hint}")

    def _regional(self, name: str) -> list[Tag]:
        begin = f"{name.lower()}."
        return [tag for key, tag in self.tags.items() if key.startswith(begin)]


def read_tags(text: str) -> TagList:
    """Read a list of service tags.

    Raises:
        ServiceTagsError: it is none.
    """
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ServiceTagsError(f"it is not JSON: {error}") from error
    return tags_of(written)


def tags_of(written: Any) -> TagList:
    """Read a list of service tags that is no longer a text.

    Raises:
        ServiceTagsError: it is none.
    """
    if not isinstance(written, dict) or not isinstance(written.get("values"), list):
        raise ServiceTagsError(
            "it is no list of service tags: it lacks 'values'. Download it from Microsoft "
            "(download id 56519), or take what 'az network list-service-tags' prints"
        )
    tags = [_tag(entry, place) for place, entry in enumerate(written["values"])]
    return TagList(
        cloud=str(written.get("cloud", "")),
        change_number=_number(written, "the list"),
        tags={tag.name.lower(): tag for tag in tags},
    )


def _tag(entry: Any, place: int) -> Tag:
    properties = entry.get("properties") if isinstance(entry, dict) else None
    if not isinstance(properties, dict) or not isinstance(entry.get("name"), str):
        raise ServiceTagsError(f"values[{place}] is no service tag")
    name = entry["name"]
    prefixes = properties.get("addressPrefixes")
    if not isinstance(prefixes, list):
        raise ServiceTagsError(f"{name} has no list 'addressPrefixes'")
    return Tag(
        name=name,
        region=str(properties.get("region") or ""),
        change_number=_number(properties, name),
        networks=tuple(_network(name, prefix) for prefix in prefixes),
    )


def _number(members: Mapping[str, Any], where: str) -> int:
    """Read `changeNumber`: a number in the file, a text from the Discovery API."""
    try:
        return int(members["changeNumber"])
    except (KeyError, TypeError, ValueError) as error:
        raise ServiceTagsError(f"the changeNumber of {where} is no number") from error


def _network(name: str, prefix: Any) -> Network:
    try:
        return ip_network(str(prefix))
    except ValueError as error:
        raise ServiceTagsError(f"{name}: {prefix!r} is no range of addresses") from error


def _region(name: str, regional: Iterable[Tag], whole: str) -> Tag:
    wanted = name.strip().lower().replace(" ", "").removeprefix(f"{whole.lower()}.")
    names = {tag.name.partition(".")[2].lower(): tag for tag in regional}
    spelt = {tag.region.lower(): tag for tag in regional}
    if found := names.get(wanted) or spelt.get(wanted):
        return found
    if not names:
        raise ServiceTagsError(
            f"the list holds {whole} as a whole only, no regions: the Discovery API leaves "
            "them out, the downloaded file has them"
        )
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.0)
    known = ", ".join(names[each].name.partition(".")[2] for each in close)
    raise ServiceTagsError(f"{whole} has no region {name!r}. The closest are: {known}")
