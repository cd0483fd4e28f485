"""Write the golden schemas: `python -m contracts.schemas`. A file whose type is no longer in the registry goes."""

import sys

from contracts.schemas import DIRECTORY, golden_files, write_changed


def main() -> int:
    """Bring the directory to what the payload classes say, and name every file that changed."""
    wanted = dict(golden_files())
    for stale in sorted(set(DIRECTORY.glob("*.json")) - wanted.keys()):
        stale.unlink()
        sys.stdout.write(f"removed {stale.name}\n")
    for name in write_changed(wanted.items()):
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
