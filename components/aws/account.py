"""The account and region that a stack lives in, and the names that follow from them."""

from dataclasses import dataclass

PARTITIONS = {"cn": "aws-cn", "us-gov": "aws-us-gov"}
"""How a region's name begins → its partition; all others are in ``aws``."""


@dataclass(frozen=True)
class Account:
    """Where a stack's AWS resources are. All of it is known before anything exists, so ARNs are plain text.

    Attributes:
        stack: the stack's name.
        id: the account's number, 12 digits.
        region: the region.
    """

    stack: str
    id: str
    region: str

    @property
    def prefix(self) -> str:
        """How the names of the stack's resources begin; the CI's role may only touch roles named so."""
        return f"ollamamax-{self.stack}"

    def ci_role(self, job: str) -> str:
        """Return the name of the role of a CI job, ``preview`` or ``deploy``.

        It does not begin with the stack's prefix: a deployment may change roles that do, and not its own.
        """
        return f"ollamamax-ci-{self.stack}-{job}"

    @property
    def tags(self) -> dict[str, str]:
        """What every resource of the stack is tagged with; its costs are found by them."""
        return {"project": "ollamamax", "stack": self.stack, "managed-by": "pulumi"}

    @property
    def partition(self) -> str:
        """The part of AWS that the region belongs to: the second word of every ARN."""
        found = (name for start, name in PARTITIONS.items() if self.region.startswith(f"{start}-"))
        return next(found, "aws")

    @property
    def domain(self) -> str:
        """What the names of the region's services end in."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def root(self) -> str:
        """The account itself as a principal: it leaves the decision to the account's IAM policies."""
        return self.global_arn("iam", "root")

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of a regional service."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of a service without regions, such as IAM."""
        return f"arn:{self.partition}:{service}::{self.id}:{resource}"

    def managed_policy(self, name: str) -> str:
        """Return the ARN of a policy that AWS keeps."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"
