"""The host names of a stack's zone: pure functions."""

from stacks.aws import CdnSettings


def api(zone: str) -> str:
    """Return the name that clients call."""
    return f"api.{zone}"


def console(zone: str) -> str:
    """Return the name of the web console."""
    return f"console.{zone}"


def origin(zone: str) -> str:
    """Return the name by which the CDN reaches the edge, wherever ``api`` leads."""
    return f"origin.{zone}"


def behind_cdn(zone: str, cdn: CdnSettings | None) -> tuple[str, ...]:
    """Return the names that the CDN answers to."""
    if cdn is None:
        return ()
    return (console(zone), api(zone)) if cdn.api else (console(zone),)


def certified(zone: str, cdn: CdnSettings | None) -> tuple[str, ...]:
    """Return the names in the edge's own certificate.

    Cloudflare asks the edge for the name that the viewer asked for, CloudFront for that of the origin.
    """
    if cdn is None:
        return (api(zone),)
    return (api(zone), console(zone) if cdn.provider == "cloudflare" else origin(zone))
