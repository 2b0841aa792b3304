"""What test programs are written with: the SDK's side of the cloud of the tests."""

from typing import Any

import pulumi

VERSION = pulumi.ResourceOptions(version="1.0.0")


class Thing(pulumi.CustomResource):
    name: pulumi.Output[str]
    link: pulumi.Output[str]
    size: pulumi.Output[Any]

    def __init__(self, resource_name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        inputs = {"name": None, "size": None, "link": None} | inputs
        super().__init__(
            "fake:index:Thing",
            resource_name,
            inputs,
            pulumi.ResourceOptions.merge(VERSION, opts or pulumi.ResourceOptions()),
        )

    @staticmethod
    def get(resource_name: str, id_: str, opts: pulumi.ResourceOptions) -> "Thing":
        return Thing(resource_name, pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id_)))


class Group(pulumi.ComponentResource):
    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("demo:index:Group", name, None, opts)
