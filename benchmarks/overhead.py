"""What the engine costs over the bare network and saves over the usual loop: a part of engine.py.

    python benchmarks/overhead.py [--quick] [--json]

Also the seconds that `--help` and `import noisesearch` take.
"""

from __future__ import annotations

import argparse
import json

from bare import rounded, start_up, usual


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three repeats, a shorter naive loop")
    parser.add_argument("--json", action="store_true", help="one object on stdout, no more")
    asked = parser.parse_args()
    found = rounded({**usual(asked.quick), **start_up()})
    print(json.dumps(found, indent=None if asked.json else 1))


if __name__ == "__main__":
    main()
