"""What is known of AWS's regions."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from stacks.regions import CLOUDFRONT_LISTS, database_authorities

AUTHORITIES = database_authorities()


def test_every_region_has_a_list_of_cloudfronts_of_its_own() -> None:
    assert len({*CLOUDFRONT_LISTS.values()}) == len(CLOUDFRONT_LISTS) >= 17
    assert all(re.fullmatch(r"pl-[0-9a-f]{8}", found) for found in CLOUDFRONT_LISTS.values())
    assert CLOUDFRONT_LISTS["eu-central-1"] == "pl-a3a144ca"


def test_the_authorities_of_the_common_regions_are_there() -> None:
    assert len(AUTHORITIES) >= 25
    assert {"eu-central-1", "eu-west-1", "us-east-1", "us-east-2", "us-west-2"} <= AUTHORITIES.keys()


@pytest.mark.parametrize("region", AUTHORITIES)
def test_a_regions_authority_is_amazons_own_and_valid_for_long(region: str) -> None:
    certificate = x509.load_pem_x509_certificate(AUTHORITIES[region].encode())
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == f"Amazon RDS {region} Root CA RSA2048 G1"
    certificate.verify_directly_issued_by(certificate)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3650)
