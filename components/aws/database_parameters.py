"""What RDS calls the parameters of PostgreSQL."""

from stacks.stores import DatabaseSettings

FAMILY = "postgres17"
RDS_CONNECTIONS = 7
"""Connections that RDS keeps for itself, beside those that settings count: 3 for its superuser
(superuser_reserved_connections), and 4 for its own work (rds.rds_reserved_connections), as others have
measured on RDS from PostgreSQL 16 on; AWS's page of 2022 counts the 2 of older versions."""
PAGE_KIB = 8
"""Size of a page of PostgreSQL, the unit of some of its memory parameters."""


def parameters(server: DatabaseSettings) -> dict[str, tuple[str, str]]:
    """Return RDS's parameter → its value, as ``templates/postgres`` has it, and when a change applies."""

    def pages(mebibytes: int) -> str:
        return str(mebibytes * 1024 // PAGE_KIB)

    def kibibytes(mebibytes: int) -> str:
        return str(mebibytes * 1024)

    def milliseconds(seconds: int) -> str:
        return str(seconds * 1000)

    restart = {
        "max_connections": str(server.max_connections + RDS_CONNECTIONS),
        "rds.accepted_password_auth_method": "scram",
        "rds.force_ssl": "1",
        # For the administrator: RDS gives nobody a superuser's slots.
        "reserved_connections": str(server.superuser_reserved_connections),
        "shared_buffers": pages(server.shared_buffers_mib),
    }
    at_once = {
        "effective_cache_size": pages(server.effective_cache_size_mib),
        "idle_in_transaction_session_timeout": milliseconds(server.idle_in_transaction_timeout_s),
        "jit": "0",
        "log_min_duration_statement": str(server.slow_statement_ms),
        "log_parameter_max_length": "0",
        "maintenance_work_mem": kibibytes(server.maintenance_work_mem_mib),
        "max_wal_size": str(server.max_wal_size_mib),
        "password_encryption": "scram-sha-256",
        "random_page_cost": "1.1",
        "statement_timeout": milliseconds(server.statement_timeout_s),
        "work_mem": kibibytes(server.work_mem_mib),
    }
    return {
        **{name: (value, "pending-reboot") for name, value in restart.items()},
        **{name: (value, "immediate") for name, value in at_once.items()},
    }
