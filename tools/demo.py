"""Shows a node backed up while it seals, restored, copied cold; then recorded networks of the Go client restored.

Each command is printed before it runs. Exits with 1 at the first thing that is not as it should be.
"""

import sys
import tempfile
import time
from pathlib import Path

from demonstration.live import show_live_node
from demonstration.proofs import DemoError, Proofs
from demonstration.recorded import show_damage, show_kill, show_restore


def main() -> int:
    """Runs the demonstration in a temporary folder that is removed afterwards."""
    started = time.monotonic()
    proofs = Proofs()
    with tempfile.TemporaryDirectory(prefix="polygon-edge-demo-") as name:
        folder = Path(name)
        try:
            show_live_node(folder / "live", proofs)
            show_restore(folder, proofs)
            show_damage(folder, proofs)
            show_kill(folder, proofs)
        except DemoError as error:
            print(f"demo: error: {error}", file=sys.stderr)
            return 1
    proofs.show(time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
