"""The image registry: a repository for each image that is built here, and a cache of other registries.

Costs $0.10 a GB and month and what leaves the region; its key $1. Scanning is free.
Deleted, the running pods go on; none can start on a node that has not its image yet. The images are built and
pushed again by the next ``up``, and what was cached is fetched again. Cached repositories outlive the stack.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import ecr

from components.aws.account import Account
from components.aws.key import Key, KeyArgs

KEPT_IMAGES = 50
"""Newest images kept of each repository. An image is pushed only to be deployed, so those in use, and the
releases that one may want back, are among the last few."""
MIRRORS = {"public.ecr.aws": "aws", "quay.io": "quay", "registry.k8s.io": "k8s"}
"""Registry → where its images are cached. These three give everything to anybody; others want credentials."""


@dataclass(frozen=True)
class RegistryArgs:
    """What the registry needs.

    Attributes:
        account: where it is.
        images: names of the images that are built here.
        allow_replace: the names that the stack gives free.
    """

    account: Account
    images: Sequence[str]
    allow_replace: Collection[str] = ()


class Registry(pulumi.ComponentResource):
    """ECR repositories whose tags never move, encrypted and scanned."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ollamamax:aws:Registry", name, None, opts)
        self._account = account = args.account
        child = pulumi.ResourceOptions(parent=self)
        key = Key(name, KeyArgs(account, "Images", allow_replace=args.allow_replace), child)
        for image in sorted(args.images):
            repository = ecr.Repository(
                image,
                name=f"{account.prefix}/{image}",
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
                encryption_configurations=[
                    ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key.arn)
                ],
                force_delete=True,  # or a stack could not be destroyed: images are made again, data is not
                opts=child,
            )
            ecr.LifecyclePolicy(image, repository=repository.name, policy=_keep_newest(), opts=child)
        for upstream, short in MIRRORS.items():
            prefix = f"{account.prefix}/{short}"
            template = ecr.RepositoryCreationTemplate(
                short,
                prefix=prefix,
                description=f"What is cached of {upstream}",
                applied_fors=["PULL_THROUGH_CACHE"],
                lifecycle_policy=_keep_newest(),
                opts=child,
            )
            ecr.PullThroughCacheRule(
                short,
                ecr_repository_prefix=template.prefix,
                upstream_registry_url=upstream,
                opts=child,
            )
        ecr.RegistryScanningConfiguration(
            name,
            scan_type="BASIC",
            rules=[
                ecr.RegistryScanningConfigurationRuleArgs(
                    scan_frequency="SCAN_ON_PUSH",
                    repository_filters=[
                        ecr.RegistryScanningConfigurationRuleRepositoryFilterArgs(
                            filter="*", filter_type="WILDCARD"
                        )
                    ],
                )
            ],
            # An account has one of it: another stack of the account goes on needing it.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self._token = ecr.get_authorization_token_output(
            registry_id=account.id, opts=pulumi.InvokeOutputOptions(parent=self)
        )
        self.register_outputs({"prefix": self.prefix})

    @property
    def host(self) -> str:
        """The registry's host name."""
        return f"{self._account.id}.dkr.ecr.{self._account.region}.{self._account.domain}"

    @property
    def prefix(self) -> str:
        """What stands before the name of an image that is built here."""
        return f"{self.host}/{self._account.prefix}"

    @property
    def username(self) -> pulumi.Output[str]:
        """Who pushes."""
        return self._token.user_name

    @property
    def password(self) -> pulumi.Output[str]:
        """The pusher's password, good for 12 hours; secret."""
        return pulumi.Output.secret(self._token.password)

    def mirrored(self, image: str) -> str:
        """Return the image's name in the cache, where its registry is cached."""
        upstream, _, path = image.partition("/")
        return f"{self.prefix}/{MIRRORS[upstream]}/{path}" if upstream in MIRRORS else image


def _keep_newest() -> str:
    """Return the policy by which old images expire."""
    rule: dict[str, Any] = {
        "rulePriority": 1,
        "description": f"Keep the newest {KEPT_IMAGES}",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]})
