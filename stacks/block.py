"""What all settings are made of: the block, and the types that several blocks share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Seconds = Annotated[int, Field(ge=1, le=86_400)]
Days = Annotated[int, Field(ge=1, le=3653)]
Mebibytes = Annotated[int, Field(ge=16, le=1_048_576)]
Gibibytes = Annotated[int, Field(ge=1, le=65_536)]
Cpus = Annotated[float, Field(ge=0.1, le=256)]
Percent = Annotated[int, Field(ge=1, le=100)]

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._/-]*(:[A-Za-z0-9._-]+)?$"
VARIANT = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
PUBLIC_KEY = r"^ssh-ed25519 [A-Za-z0-9+/]+={0,2}( .+)?$"
HOST_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
ORIGIN = r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$"
LABEL = r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$"
IMAGE_PREFIX = r"^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._/-]+)?$"
GENERATION = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
ACCOUNT = r"^[0-9]{12}$"
REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
ZONE = r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$"
ROLE_ARN = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$"
RESERVATION = r"^cr-[0-9a-f]{17}$"
INSTANCE_TYPE = r"^[a-z0-9-]+\.[a-z0-9]+$"
DATABASE_CLASS = r"^db\.[a-z0-9-]+\.[a-z0-9]+$"
CACHE_TYPE = r"^cache\.[a-z0-9-]+\.[a-z0-9]+$"
ADDON_VERSION = r"^v[0-9]+(\.[0-9]+)+-eksbuild\.[0-9]+$"
REPOSITORY = r"^[\w.-]+/[\w.-]+$"
ENDPOINT = r"^[a-z0-9-]+(\.[a-z0-9-]+)?$"
HTTP_URL = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*$"
PATH = r"^/[A-Za-z0-9._/-]+$"
ZONE_ID = r"^Z[A-Z0-9]{1,31}$"
CLOUDFLARE_ID = r"^[0-9a-f]{32}$"
IN_WORDS = {
    MODEL_NAME: "a model's Ollama name, such as smollm2:135m",
    VARIANT: "a name of letters, digits and . _ : / -, such as canary",
    PUBLIC_KEY: "an OpenSSH ed25519 public key, such as the content of ~/.ollama/id_ed25519.pub",
    HOST_NAME: "a host name in small letters, such as api.example.org",
    ORIGIN: "a page's origin, such as https://console.example.org",
    LABEL: "a name of at most 30 small letters, digits and dashes, such as ollamamax",
    IMAGE_PREFIX: "a registry and the path in it, such as registry.example.org/ollamamax",
    GENERATION: "a word of at most 40 letters, digits and . _ -, such as 2026-11",
    EMAIL: "an e-mail address, such as platform@example.org",
    ACCOUNT: "an AWS account's number, 12 digits in quotes",
    REGION: "an AWS region, such as eu-central-1",
    ZONE: "an AWS availability zone, such as eu-central-1a",
    ROLE_ARN: "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/Admin",
    RESERVATION: "the id of a capacity reservation, such as cr-0123456789abcdef0",
    INSTANCE_TYPE: "an EC2 instance type, such as g6.2xlarge",
    DATABASE_CLASS: "an RDS instance class, such as db.m7g.large",
    CACHE_TYPE: "an ElastiCache node type, such as cache.m7g.large",
    ADDON_VERSION: "the version of an EKS add-on, such as v0.8.0-eksbuild.2",
    REPOSITORY: "a repository on GitHub, owner/name",
    ENDPOINT: "the name of an AWS service's endpoint, such as ecr.api",
    HTTP_URL: "an address without a slash at its end, such as http://collector:4318",
    PATH: "a path, such as /api/version",
    ZONE_ID: "the id of a Route 53 zone, such as Z0123456789ABCDEFGHIJ",
    CLOUDFLARE_ID: "a Cloudflare id, 32 hexadecimal digits",
}
"""What each pattern asks for, for messages and for the documentation."""

ModelName = Annotated[str, Field(pattern=MODEL_NAME)]
Variant = Annotated[str, Field(pattern=VARIANT)]
PublicKey = Annotated[str, Field(pattern=PUBLIC_KEY)]
HostName = Annotated[str, Field(pattern=HOST_NAME)]
Origin = Annotated[str, Field(pattern=ORIGIN)]
Label = Annotated[str, Field(pattern=LABEL)]
Email = Annotated[str, Field(pattern=EMAIL)]


class Block(BaseModel):
    """A block of settings: immutable, camelCase in files, unknown keys and loose types refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
    )


class Resources(Block):
    """What one container may use."""

    memory_mib: Mebibytes
    """Memory limit, MiB. The kernel kills a container that goes over it."""
    cpus: Cpus
    """CPU limit, cores."""
