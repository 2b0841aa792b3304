"""What AWS has in each region that a stack must know by name: facts that AWS publishes."""

import re
from pathlib import Path

AUTHORITIES = Path(__file__).with_name("rds-ca.pem")
CLOUDFRONT_LISTS = {
    "ap-northeast-1": "pl-58a04531",
    "ap-northeast-2": "pl-22a6434b",
    "ap-northeast-3": "pl-31a14458",
    "ap-south-1": "pl-9aa247f3",
    "ap-southeast-1": "pl-31a34658",
    "ap-southeast-2": "pl-b8a742d1",
    "ca-central-1": "pl-38a64351",
    "eu-central-1": "pl-a3a144ca",
    "eu-north-1": "pl-fab65393",
    "eu-west-1": "pl-4fa04526",
    "eu-west-2": "pl-93a247fa",
    "eu-west-3": "pl-75b1541c",
    "sa-east-1": "pl-5da64334",
    "us-east-1": "pl-3b927c52",
    "us-east-2": "pl-b6a144df",
    "us-west-1": "pl-4ea04527",
    "us-west-2": "pl-82a045eb",
}
"""Region → list ``com.amazonaws.global.cloudfront.origin-facing``: from where CloudFront connects to origins.
AWS keeps what is in it."""


def database_authorities() -> dict[str, str]:
    """Return region → the certificate, PEM, of the authority that signs RDS's certificates there."""
    found = re.findall(
        r"^([a-z0-9-]+)\n(-----BEGIN.*?-----END CERTIFICATE-----\n)", AUTHORITIES.read_text(), re.M | re.S
    )
    return dict(found)
