"""Connections to services and to managed stores."""

from components.connections import Connection, outside, peers
from components.service import Outside, Peer, Store

DATA = Outside(("10.80.250.0/24",), 5432)
SERVICE = Connection("database", Peer("postgres", 5432), "password", "the stack's authority")
MANAGED = Connection(
    "database", Store("rds.example.org", 5432, DATA, "its own", "its authority"), "password", "the stack's"
)
TRUSTED = Connection("redis", Store("valkey.example.org", 6379, DATA, "its own"), "password", "the stack's")


def test_a_service_is_checked_with_the_stacks_own_authority() -> None:
    assert SERVICE.host == "postgres"
    assert SERVICE.ca_file == "/etc/ollamamax/secrets/ca.pem"
    assert SERVICE.files == {"database-password": "password", "ca.pem": "the stack's authority"}


def test_a_store_has_a_password_and_an_authority_of_its_own() -> None:
    assert MANAGED.host == "rds.example.org"
    assert MANAGED.ca_file == "/etc/ollamamax/secrets/database-ca.pem"
    assert MANAGED.files == {"database-password": "its own", "database-ca.pem": "its authority"}


def test_a_store_with_a_public_certificate_brings_no_authority() -> None:
    assert TRUSTED.ca_file is None
    assert TRUSTED.files == {"redis-password": "its own"}
    assert TRUSTED.ca_files == {}


def test_services_are_talked_to_and_stores_are_reached() -> None:
    every = [SERVICE, MANAGED, TRUSTED]
    assert peers(every) == (Peer("postgres", 5432),)
    assert outside(every) == (DATA, DATA)
