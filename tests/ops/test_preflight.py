"""What an account must allow, asked of an account that botocore's own stubs play."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
import pytest
from botocore.stub import Stubber

import stacks
from ops import preflight
from ops.preflight import Quota
from ops.stack import StackError
from stacks import Settings
from tests.ops.test_commands import run

ROOT = Path(__file__).parents[2]
ROLE = {
    "Path": "/aws-service-role/spot.amazonaws.com/",
    "RoleName": "AWSServiceRoleForEC2Spot",
    "RoleId": "AROA0123456789ABCDEF",
    "Arn": "arn:aws:iam::444455556666:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
    "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
}
NOWHERE = {
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def prod() -> Settings:
    return stacks.read(ROOT / "stacks/Pulumi.prod.yaml", "prod")


@pytest.fixture
def account() -> Iterator[Callable[..., preflight.Client]]:
    """Return a function that makes the clients of an account; at the end, all its answers were asked for."""
    stubs: dict[str, Stubber] = {}

    def make(
        settings: Settings,
        *,
        number: str = "444455556666",
        zones: tuple[str, ...] = ("eu-central-1a", "eu-central-1b", "eu-central-1c"),
        offered: dict[str, tuple[str, ...]] | None = None,
        quotas: dict[Quota, float] | None = None,
        addresses: tuple[dict[str, str], ...] = (),
        spot: bool = True,
    ) -> preflight.Client:
        session = botocore.session.get_session()
        session.set_credentials("id", "secret")
        for name in ("sts", "ec2", "iam", "service-quotas"):
            stubs[name] = Stubber(session.create_client(name, region_name="eu-central-1"))
            stubs[name].activate()
        stubs["sts"].add_response("get_caller_identity", {"Account": number})
        assert settings.aws
        if number == settings.aws.account_id:
            _answer_ec2(stubs["ec2"], settings, zones, offered, addresses)
            _answer_iam(stubs["iam"], settings, spot)
            _answer_quotas(stubs["service-quotas"], settings, quotas or {})
        return lambda name: stubs[name].client

    yield make
    for stub in stubs.values():
        stub.assert_no_pending_responses()


def _answer_ec2(
    stub: Stubber,
    settings: Settings,
    zones: tuple[str, ...],
    offered: dict[str, tuple[str, ...]] | None,
    addresses: tuple[dict[str, str], ...],
) -> None:
    types = sorted({name for pool in settings.gpu_pools for name in pool.instance_types})
    stub.add_response(
        "describe_availability_zones", {"AvailabilityZones": [{"ZoneName": zone} for zone in zones]}
    )
    stub.add_response(
        "describe_instance_type_offerings",
        {
            "InstanceTypeOfferings": [
                {"InstanceType": name, "Location": zone}
                for name in types
                for zone in (zones if offered is None else offered.get(name, zones))
            ]
        },
        {
            "LocationType": "availability-zone",
            "Filters": [
                {"Name": "instance-type", "Values": types},
                {"Name": "location", "Values": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]},
            ],
        },
    )
    tagged = [{"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} for tags in addresses]
    stub.add_response("describe_addresses", {"Addresses": tagged})
    stub.add_response("describe_vpcs", {"Vpcs": [{}]})


def _answer_iam(stub: Stubber, settings: Settings, spot: bool) -> None:
    """Answer whether the account knows EC2's spot service; nobody asks who buys none there."""
    if not any(pool.capacity.startswith("spot") for pool in settings.gpu_pools):
        return
    asked = {"RoleName": "AWSServiceRoleForEC2Spot"}
    if spot:
        stub.add_response("get_role", {"Role": ROLE}, asked)
    else:
        stub.add_client_error("get_role", "NoSuchEntity", expected_params=asked)


def _answer_quotas(stub: Stubber, settings: Settings, quotas: dict[Quota, float]) -> None:
    """Answer with these limits; the account never had another than the default of RDS instances."""
    for quota in sorted(preflight.needs(settings), key=lambda quota: quota.name):
        words = {"ServiceCode": quota.service, "QuotaCode": quota.code}
        answer = {"Quota": {"Value": quotas.get(quota, 10_000.0)}}
        if quota == preflight.DATABASES:
            stub.add_client_error("get_service_quota", "NoSuchResourceException", expected_params=words)
            stub.add_response("get_aws_default_service_quota", answer, words)
        else:
            stub.add_response("get_service_quota", answer, words)


def test_an_account_that_allows_everything_is_told_so(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    report = preflight.check(prod, "prod", account(prod))
    assert report.ok
    assert report.text.splitlines()[0] == "account 444455556666, region eu-central-1"
    assert report.text.splitlines()[-1] == "the account has all that the stack needs"


def test_what_is_missing_is_printed_as_the_command_that_requests_it(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    quota = preflight.ON_DEMAND["g"]
    wanted = preflight.needs(prod)[quota]
    report = preflight.check(prod, "prod", account(prod, quotas={quota: 64.0}))
    assert report.problems == (
        f"vCPUs of on-demand G and VT instances: the stack needs {wanted}, the account has 64",
    )
    assert report.requests == (
        "aws service-quotas request-service-quota-increase --region eu-central-1 --service-code ec2 "
        f"--quota-code L-DB2E81BA --desired-value {wanted}",
    )
    assert report.requests[0] in report.text


def test_a_quota_that_is_just_enough_is_enough(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    quota = preflight.SPOT["g"]
    exact = float(preflight.needs(prod)[quota])
    assert preflight.check(prod, "prod", account(prod, quotas={quota: exact})).ok
    assert not preflight.check(prod, "prod", account(prod, quotas={quota: exact - 1})).ok


def test_what_others_use_is_not_free_and_what_the_stack_has_already_is(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    ours = {"project": "ollamamax", "stack": "prod"}
    other = {"project": "ollamamax", "stack": "staging"}
    five = {preflight.ADDRESSES: 5.0}
    assert preflight.check(prod, "prod", account(prod, quotas=five, addresses=(ours, ours, ours))).ok
    report = preflight.check(prod, "prod", account(prod, quotas=five, addresses=(other, other, {})))
    assert report.problems == (
        "Elastic IP addresses: the stack needs 3, the account has 5, 3 of them taken by others",
    )
    assert report.requests[0].endswith("--quota-code L-0263D0A3 --desired-value 6")


def test_another_account_is_a_problem_and_nothing_else_is_asked(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    report = preflight.check(prod, "prod", account(prod, number="999999999999"))
    assert report.problems == (
        "the credentials are those of account 999999999999, aws.accountId is 444455556666",
    )


def test_a_type_that_no_zone_offers_is_a_problem(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    report = preflight.check(prod, "prod", account(prod, offered={"g6e.xlarge": ()}))
    assert report.problems == (
        "gpuPools[chat].instanceTypes: g6e.xlarge is not offered in eu-central-1a, eu-central-1b, "
        "eu-central-1c: take another type, zone or region",
    )


def test_a_zone_without_a_pools_types_is_noted(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    two = ("eu-central-1a", "eu-central-1b")
    report = preflight.check(prod, "prod", account(prod, offered={"g6e.xlarge": two, "g6e.2xlarge": two}))
    assert report.ok
    assert "gpuPools[chat]: no type of it is offered in eu-central-1c" in report.notes


def test_an_account_that_never_had_a_spot_node_is_told_what_it_lacks(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    report = preflight.check(prod, "prod", account(prod, spot=False))
    assert report.problems == (
        "the account never had a spot instance, and nodes may not make the role for it: "
        "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
    )
    bought = [pool.model_copy(update={"capacity": "on-demand"}) for pool in prod.gpu_pools]
    dear = prod.model_copy(update={"gpu_pools": tuple(bought)})
    assert preflight.check(dear, "prod", account(dear, spot=False)).ok


def test_a_zone_that_the_account_has_not_is_a_problem(
    account: Callable[..., preflight.Client], prod: Settings
) -> None:
    two = ("eu-central-1a", "eu-central-1b")
    report = preflight.check(prod, "prod", account(prod, zones=two))
    assert report.problems == (
        "aws.zones: the account has no zone eu-central-1c; it has eu-central-1a, eu-central-1b",
    )


@pytest.mark.parametrize(
    ("kind", "bought_as", "expected"),
    [
        ("g6.xlarge", "on-demand", ["L-DB2E81BA"]),
        ("g6.xlarge", "spot", ["L-3819A6DF"]),
        ("g6.xlarge", "spot-first", ["L-DB2E81BA", "L-3819A6DF"]),
        ("g6.xlarge", "reserved", ["L-DB2E81BA"]),
        ("p4d.24xlarge", "spot-first", ["L-417A185B", "L-7212CCBC"]),
        ("p5.48xlarge", "spot", ["L-C4BD4855"]),
    ],
)
def test_nodes_count_against_the_quotas_of_their_family(
    kind: str, bought_as: str, expected: list[str]
) -> None:
    assert [quota.code for quota in preflight._quotas(kind, bought_as)] == expected


def test_a_pool_needs_the_cpus_of_its_largest_type(prod: Settings) -> None:
    needs = preflight.needs(prod)
    chat, code = 50 * 8, 20 * 8  # g6e.2xlarge, g6.2xlarge
    assert needs[preflight.ON_DEMAND["g"]] == needs[preflight.SPOT["g"]] == chat + code


def test_without_credentials_there_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    done = run("preflight", "--stack", "prod", **NOWHERE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {preflight.NO_CREDENTIALS}\n"


def test_a_profile_that_does_not_exist_is_one_message() -> None:
    done = run("preflight", "--stack", "prod", AWS_PROFILE="no-such", **NOWHERE)
    assert done.returncode == 1
    assert done.stderr == (
        "error: asking AWS in eu-central-1 failed: The config profile (no-such) could not be found\n"
    )


def test_a_stack_on_this_machine_needs_no_account() -> None:
    with pytest.raises(StackError, match=r"^target docker needs no account"):
        preflight.run(Settings(target="docker"), "local")
