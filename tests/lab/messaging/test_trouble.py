from __future__ import annotations

import pytest

from lab.messaging.node import Error
from lab.messaging.trouble import Acknowledgement, Fault, Trouble, lies_below
from lab.messaging.wallet import entity_path


@pytest.mark.parametrize(
    ("path", "entity", "expected"),
    [
        ("hub", "", True),
        ("hub", "HUB", True),
        ("hub/Partitions/1", "hub", True),
        ("hub2", "hub", False),
        ("hub", "hub/Partitions/1", False),
    ],
)
def test_a_fault_concerns_an_entity_and_what_is_below(
    path: str, entity: str, *, expected: bool
) -> None:
    assert lies_below(path, entity) is expected


def test_a_fault_happens_as_often_as_it_should() -> None:
    error = Error("c", "d")
    trouble = Trouble(sending=[Fault("hub", lambda: error, 2)])

    assert [trouble.on_send("hub") for _ in range(3)] == [error, error, None]
    assert trouble.on_send("other") is None


def test_a_fault_without_a_number_happens_for_ever() -> None:
    trouble = Trouble(acknowledging=[Fault("", Acknowledgement.CUT)])

    assert {trouble.on_acknowledge("hub") for _ in range(50)} == {Acknowledgement.CUT}


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("amqps://127.0.0.1/hub/Partitions/1", "hub/Partitions/1"),
        ("sb://ns.servicebus.windows.net/hub/", "hub"),
        ("sb://h/hub/consumergroups/%24Default", "hub/consumergroups/$Default"),
        ("queue/$management", "queue/$management"),
        ("$cbs", "$cbs"),
        ("sb://h/", ""),
    ],
)
def test_an_address_is_reduced_to_its_path(address: str, path: str) -> None:
    assert entity_path(address) == path
