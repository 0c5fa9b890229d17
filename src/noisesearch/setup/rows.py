"""How many rows the batches of a run have."""

from __future__ import annotations

import math
from typing import Any

from ..driver.plan import Width
from .searches import Searches

LIMITS = (4, 32)  # a batch has at least and at most so many rows unless asked otherwise
# Matrix products take rows by fours, and those left over otherwise: at 5 or 6 rows a row's last
# bits depend on its slot, at multiples of four they do not.
STEP = 4


def of(searches: Searches, asked: int | None) -> dict[str, Any]:
    """Return the rows of the run's batches, and of the drafts that it asks for besides.

    ``asked``: by the user; None for as many as the algorithm usually asks for at once over all
    conditions, within ``LIMITS``. Where one yield has all samples that there are, they are split
    into equal batches. A black box says which rows are usual for it.
    """
    loaded = searches.loaded
    if loaded.sampler is not None:
        return {"rows": asked or loaded.sampler.rows}
    widths = {} if asked else searches.widths()

    def wide(draft: str) -> int:
        width = widths.get(draft, Width(1))
        count = (width.whole or width.usual) * searches.prices.count
        if width.whole:
            count = math.ceil(count / math.ceil(count / LIMITS[1]))
        count = asked or min(LIMITS[1], max(LIMITS[0], count))
        return -(-count // STEP) * STEP

    own = loaded.spec.draft
    others = {draft: wide(draft) for draft in loaded.spec.drafts if draft != own}
    return {"rows": wide(own), "draft_rows": others}
