"""PostgreSQL's parameters as RDS counts them."""

from hypothesis import given
from hypothesis import strategies as st

from components.aws.database_parameters import parameters
from stacks.stores import DatabaseSettings


@given(mebibytes=st.integers(16, 1_048_576), seconds=st.integers(1, 86_400))
def test_sizes_and_times_are_in_the_units_of_rds(mebibytes: int, seconds: int) -> None:
    found = parameters(
        DatabaseSettings(
            shared_buffers_mib=mebibytes,
            maintenance_work_mem_mib=mebibytes,
            max_wal_size_mib=mebibytes,
            statement_timeout_s=seconds,
        )
    )
    assert int(found["shared_buffers"][0]) * 8192 == mebibytes * 1024 * 1024
    assert int(found["maintenance_work_mem"][0]) * 1024 == mebibytes * 1024 * 1024
    assert int(found["max_wal_size"][0]) == mebibytes
    assert int(found["statement_timeout"][0]) == seconds * 1000


@given(most=st.integers(10, 5000), reserved=st.integers(1, 9))
def test_the_pool_gets_as_many_connections_as_its_budget_counts(most: int, reserved: int) -> None:
    found = parameters(DatabaseSettings(max_connections=most, superuser_reserved_connections=reserved))
    rds_own = 3 + 4
    left = int(found["max_connections"][0]) - int(found["reserved_connections"][0]) - rds_own
    assert left == most - reserved


def test_connections_are_encrypted_and_passwords_never_cross_them() -> None:
    found = {name: value for name, (value, _) in parameters(DatabaseSettings()).items()}
    assert found["rds.force_ssl"] == "1"
    assert found["password_encryption"] == "scram-sha-256"
    assert found["rds.accepted_password_auth_method"] == "scram"
    assert found["log_parameter_max_length"] == "0"


def test_what_needs_a_restart_waits_for_one() -> None:
    methods = {name: method for name, (_, method) in parameters(DatabaseSettings()).items()}
    assert methods["max_connections"] == methods["shared_buffers"] == "pending-reboot"
    assert methods["work_mem"] == "immediate"
