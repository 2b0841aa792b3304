"""The pack's entry point: ``pulumi preview --policy-pack policies``."""

import sys
from pathlib import Path

# The rules are modules of a package, here as in their tests.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from policies.pack import serve

serve()
