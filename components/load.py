"""Load: a job beside the platform that plays a scenario of k6, and says at its end what it measured."""

import json
from dataclasses import dataclass

import pulumi

from components import edge
from components.rendering import render
from components.service import INTERNET, SECRETS_DIR, Limits, Peer, Priority, Service, Target
from stacks.delivery import LOAD
from stacks.settings import Settings

LIMITS = Limits(memory_mib=1024, cpus=2.0)
"""Room for the 1,000 clients of the largest scenario."""
CA = "ca.pem"


@dataclass(frozen=True)
class LoadArgs:
    """What it takes to put load on the platform."""

    settings: Settings
    """Of the stack: what load, and what it is held to."""
    url: str
    """Where its clients reach it."""
    api_key: pulumi.Input[str]
    ca_certificate: pulumi.Input[str] | None
    """Of the stack's authority, where that has signed the edge's certificate: then the edge's own name in the
    cluster is asked, and else, on the way that clients take, the platform's."""


def describe(args: LoadArgs) -> Service:
    """Return the job.

    Raises:
        ValueError: if the settings ask for no load.
    """
    asked = args.settings.load
    if asked is None:
        raise ValueError("no load is asked for")
    inside = args.ca_certificate is not None
    url = f"https://{edge.NAME}:{edge.PORT}" if inside else args.url
    known = pulumi.Output.from_input(args.api_key).apply(lambda key: json.dumps({"url": url, "key": key}))
    return Service(
        name=LOAD,
        image="load",
        limits=LIMITS,
        env={"SSL_CERT_FILE": f"{SECRETS_DIR}/{CA}"} if inside else {},
        config={
            "scenario.js": render(
                f"k6/{asked.scenario}.js.j2",
                kpi=args.settings.alerts,
                seconds=asked.seconds,
                summary="stdout",
            )
        },
        secrets={"stack.json": known} | ({CA: args.ca_certificate} if args.ca_certificate else {}),
        talks_to=(Peer(edge.NAME, edge.PORT),) if inside else (),
        reaches=() if inside else (INTERNET,),
        priority=Priority.BATCH,
        runs_to_completion=True,
        retries=0,
    )


class Load(pulumi.ComponentResource):
    """The job that puts load on the platform, while ``make load`` has it do so."""

    def __init__(
        self, name: str, args: LoadArgs, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ollamamax:index:Load", name, None, opts)
        target.place(describe(args), parent=self)
        self.register_outputs({})
