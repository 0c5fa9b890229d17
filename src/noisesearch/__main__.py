"""The entry point: errors become one sentence and an exit status."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; 0 done, 1 failed, 2 wrong request, 130 interrupted."""
    from .cli import app
    from .errors import NoisesearchError

    try:
        app()
    except NoisesearchError as error:
        print(f"noisesearch: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("noisesearch: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
