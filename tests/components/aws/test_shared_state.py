"""The shared state in the graph."""

import pytest

from components.aws.account import Account
from components.aws.shared_state import SharedState, SharedStateArgs
from stacks import shared_state
from tests.components.aws.conftest import of, statements
from tests.components.conftest import Graph, record_of

BUCKET = "ollamamax-state-111122223333-eu-central-1"


def made(account: Account, *, first: bool = True, free: tuple[str, ...] = ()) -> Graph:
    return record_of(lambda: SharedState("state", SharedStateArgs(account, first, free)))


def test_the_bucket_is_the_one_that_up_looks_for(account: Account) -> None:
    graph = made(account)
    assert of(graph, "s3/bucket:Bucket")["state"].inputs["bucket"] == BUCKET
    alias = of(graph, "kms/alias:Alias")["secrets-key"].inputs["name"]
    assert alias == shared_state.key_alias("prod")
    told: list[str] = []

    def program() -> None:
        state = SharedState("state", SharedStateArgs(account, first_in_account=True))
        told.extend([state.backend, state.secrets_provider])

    record_of(program)
    assert told == [
        f"s3://{BUCKET}?region=eu-central-1&awssdk=v2",
        "awskms://alias/ollamamax-prod-secrets?region=eu-central-1&awssdk=v2",
    ]


def test_the_state_is_kept_sealed_and_to_itself(account: Account) -> None:
    graph = made(account)
    (versioning,) = of(graph, "s3/bucketVersioning:BucketVersioning").values()
    assert versioning.inputs["versioningConfiguration"] == {"status": "Enabled"}
    (encryption,) = of(
        graph, "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    ).values()
    (rule,) = encryption.inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": "arn:aws:mock:::state-key",
    }
    (block,) = of(graph, "s3/bucketPublicAccessBlock:BucketPublicAccessBlock").values()
    assert all(
        block.inputs[name] for name in ("blockPublicAcls", "blockPublicPolicy", "restrictPublicBuckets")
    )
    (policy,) = of(graph, "s3/bucketPolicy:BucketPolicy").values()
    (tls,) = statements(policy.inputs["policy"])
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize(
    "name", ["kms/key:Key::secrets-key", "kms/key:Key::state-key", "s3/bucket:Bucket::state"]
)
def test_state_and_keys_are_not_deleted_without_a_word(account: Account, name: str) -> None:
    assert made(account)[f"aws:{name}"].protect
    assert made(account, free=("*",))[f"aws:{name}"].protect, "it is not the stack's: others need it"
    assert not made(account, free=(name.rpartition("::")[2],))[f"aws:{name}"].protect


def test_the_states_of_all_stacks_are_never_deleted_with_their_bucket(account: Account) -> None:
    bucket = made(account, free=("state",))["aws:s3/bucket:Bucket::state"]
    assert "forceDestroy" not in bucket.inputs


def test_the_second_stack_of_an_account_has_a_key_of_its_own_and_shares_the_bucket(account: Account) -> None:
    graph = made(account, first=False)
    assert not of(graph, "s3/bucket:Bucket")
    assert sorted(of(graph, "kms/key:Key")) == ["secrets-key"]
