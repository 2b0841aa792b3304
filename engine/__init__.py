"""The embedded engine: runs a Pulumi program where there is no Pulumi CLI."""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else the end of every program is a lost connection
