"""The Pulumi program behind ``make bootstrap``: what a stack on AWS needs before its first ``up``."""

import sys
from pathlib import Path

# It shares the platform's settings and components.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pulumi

import stacks
from components.aws.account import Account
from components.aws.ci_roles import CiRoles, CiRolesArgs
from components.aws.provider import aws_provider
from components.aws.shared_state import SharedState, SharedStateArgs

settings = stacks.load()
if settings.aws is None:
    raise pulumi.RunError(f"target {settings.target} shares no state: only a stack on AWS needs a bootstrap")
aws = settings.aws
account = Account(pulumi.get_stack(), aws.account_id, aws.region)
opts = pulumi.ResourceOptions(providers=[aws_provider(account)])

state = SharedState(
    "state", SharedStateArgs(account, aws.first_in_account, settings.policy.allow_replace), opts
)
pulumi.export("backend", state.backend)
pulumi.export("secretsProvider", state.secrets_provider)
if aws.ci:
    roles = CiRoles("ci", CiRolesArgs(account, aws.ci, state.secrets_key, aws.first_in_account), opts)
    pulumi.export("previewRole", roles.preview)
    pulumi.export("deployRole", roles.deploy)
