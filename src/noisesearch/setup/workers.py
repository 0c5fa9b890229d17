"""The workers of a run: one for each draft that it can be asked for, or a black box's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..candidates.noise import Array, Materialiser
from ..candidates.trajectory import FULL
from ..worker.black_box import BlackBoxWorker
from ..worker.draft_workers import DraftWorkers
from ..worker.engine import Worker
from . import residence
from .prices import Prices

if TYPE_CHECKING:
    from ..candidates.space import Space
    from ..sampling.denoiser import Denoiser
    from ..worker.scoring import Sink, Source
    from .loaded import Loaded

CACHE_BYTES = 256 * 2**20  # of states kept for siblings, over all drafts


def of(
    loaded: Loaded,
    sink: Sink | None,
    fetch: Callable[[str], Array] | None = None,
    source: Source | None = None,
    rows: int | None = None,
    narrowed: Callable[[int], None] | None = None,
) -> Worker | DraftWorkers | BlackBoxWorker:
    """``sink`` keeps pictures of candidates and ``source`` gives them back; ``fetch`` gives the
    arrays of blobs. ``rows``: fewer than the spec's, where memory ran out before; ``narrowed`` is
    told when it runs out again."""
    spec, resident = loaded.spec, residence.residence(loaded)
    if loaded.sampler is not None:
        return BlackBoxWorker(
            loaded.sampler, loaded.verifiers, Materialiser(loaded.space.shape, fetch),
            rows=rows or spec.rows, watch=loaded.watch, sink=sink, source=source,
            device=spec.device, residence=resident, narrowed=narrowed,
        )  # fmt: skip
    full = loaded.model.space()

    def made(
        denoiser: Denoiser, space: Space, wide: int, fold: int = 1, kept: bool = True
    ) -> Worker:
        return Worker(
            denoiser, loaded.solver, loaded.verifiers, Materialiser(full.shape, fetch, fold=fold),
            space.times, rows=min(rows or wide, wide), watch=loaded.watch,
            sink=sink if kept else None, source=source if kept else None, device=spec.device,
            cache_bytes=CACHE_BYTES // (1 + len(loaded.drafts)),
            residence=resident, narrowed=narrowed,
        )  # fmt: skip

    whole = made(cast("Denoiser", loaded.denoiser), full, spec.rows)
    if not loaded.drafts:
        return whole
    # Looks at drafts beside are many, and no candidates: their pictures are not kept.
    drafted = {
        name: made(of.denoiser, of.space, spec.draft_rows.get(name, spec.rows), of.fold,
                   kept=name == spec.draft)
        for name, of in loaded.drafts.items()
    }  # fmt: skip
    price = Prices(loaded)
    prices = {FULL: price.sample(spec.final_steps), **{n: price.draft(n) for n in loaded.drafts}}
    return DraftWorkers({FULL: whole, **drafted}, prices)
