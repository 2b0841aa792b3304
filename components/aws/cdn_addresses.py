"""From where the CDNs connect to the edge: facts that they publish."""

import pulumi

CLOUDFLARE = (
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "108.162.192.0/18",
    "131.0.72.0/22",
    "141.101.64.0/18",
    "162.158.0.0/15",
    "172.64.0.0/13",
    "173.245.48.0/20",
    "188.114.96.0/20",
    "190.93.240.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
)
"""https://www.cloudflare.com/ips-v4, unchanged since 2021."""
CLOUDFRONT = {
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
"""Region → list ``com.amazonaws.global.cloudfront.origin-facing``; AWS keeps what is in it."""


def prefix_list(region: str) -> str:
    """Return the id of the list of addresses from which CloudFront connects to origins in ``region``."""
    if region not in CLOUDFRONT:
        raise pulumi.RunError(
            f"aws.region: the list of CloudFront's addresses in {region} is not known, only those in"
            f" {', '.join(CLOUDFRONT)}: take another region, or aws.cdn.provider cloudflare"
        )
    return CLOUDFRONT[region]
