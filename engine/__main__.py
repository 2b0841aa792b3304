"""`python -m engine`."""

import contextlib
import gc
import os
import sys

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else the end of every program is a lost connection

from engine.cli import main

gc.set_threshold(1_000_000, 20, 20)  # an SDK is many objects that stay: going over them is a third of a run
status = main()
with contextlib.suppress(OSError):  # nobody may be left to read it
    sys.stdout.flush()
    sys.stderr.flush()
os._exit(status)  # a program's own threads, which may never end, must not keep it waiting
