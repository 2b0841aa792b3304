"""Images and charts: what runs is what was tested."""

import re
from collections.abc import Iterator

from policies.pods import WORKLOADS, containers
from policies.rule import Resource, rule
from policies.values import UNKNOWN, dig, may_be

REPOSITORY = "aws:ecr/repository:Repository"


@rule(
    "immutable-tags",
    why="A tag that moves runs other code tomorrow than was tested today.",
    remedy="Set imageTagMutability to IMMUTABLE.",
    on=(REPOSITORY,),
)
def immutable_tags(found: Resource) -> Iterator[str]:
    """A repository's tags can't be moved."""
    if not may_be(found.props.get("imageTagMutability"), "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"):
        yield f"imageTagMutability is {found.props.get('imageTagMutability', 'not set, which means MUTABLE')}"


@rule(
    "scan-on-push",
    why="A scan finds known vulnerabilities of the packages inside before the image is deployed.",
    remedy="Set imageScanningConfiguration.scanOnPush to true.",
    on=(REPOSITORY,),
)
def scan_on_push(found: Resource) -> Iterator[str]:
    """Every image is scanned when it is pushed."""
    if not dig(found.props, "imageScanningConfiguration", "scanOnPush"):
        yield "imageScanningConfiguration.scanOnPush is not true"


@rule(
    "image-digest",
    why="A tag can be pushed again: replicas of one Deployment then run different code.",
    remedy="Deploy the image by its digest, NAME@sha256:….",
    on=WORKLOADS,
)
def image_digest(found: Resource) -> Iterator[str]:
    """Every container's image is named by its digest."""
    for container in containers(found):
        image = container.get("image")
        if image is not UNKNOWN and "@sha256:" not in str(image):
            yield f"container {container.get('name')} runs {image}, without a digest"


@rule(
    "chart-version",
    why="Without an exact version, the next deployment takes whatever its author published since.",
    remedy="Set version to an exact one, such as 2.17.1.",
    on=("kubernetes:helm.sh/v3:Release",),
)
def chart_version(found: Resource) -> Iterator[str]:
    """Every Helm chart has an exact version."""
    version, chart = found.props.get("version"), found.props.get("chart")
    local = chart is UNKNOWN or str(chart).startswith((".", "/"))
    if (
        not local
        and version is not UNKNOWN
        and not re.fullmatch(r"v?\d+\.\d+\.\d+([+-][\w.+-]+)?", str(version))
    ):
        yield f"version is {version or 'not set'}"
