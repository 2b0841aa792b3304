"""`python -m engine`."""

import os
import sys

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else the end of every program is a lost connection

from engine.cli import main

status = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # a program's own threads, which may never end, must not keep it waiting
