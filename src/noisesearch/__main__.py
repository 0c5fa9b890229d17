"""The entry point: errors become one sentence and an exit status."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command line; 0 done, 1 failed, 2 wrong request, 130 interrupted."""
    from .cli import app
    from .errors import NoisesearchError

    # Names of files and texts of strangers may hold what no encoding has a letter for.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except NoisesearchError as error:
        print(f"noisesearch: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_status)
    except OSError as error:
        if error.filename is None:
            raise  # no file to name: not the user's to mend
        from pathlib import Path

        from .files.writing import disk_error

        print(f"noisesearch: {disk_error(error, Path(error.filename))}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        print(
            f"noisesearch: this machine has not enough memory{why}; all that a run had journalled "
            "is kept, and noisesearch resume goes on with it",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("noisesearch: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
