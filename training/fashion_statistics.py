"""Write the reference of the world fashion's Fréchet distance into the package.

    python training/fashion_statistics.py

Mean and covariance of what the network `inception` sees in the 60,000 pictures to train.
"""

from __future__ import annotations

import numpy as np
import torch

from noisesearch.objectives.sets import Moments
from noisesearch.worlds.fashion import networks
from noisesearch.worlds.fashion.data import load
from noisesearch.worlds.fashion.verifiers import STATISTICS

ROWS = 500


@torch.no_grad()
def main() -> None:
    """Look at all of them and write."""
    network = networks.load("inception")
    pictures = torch.tensor(load("train")[0])[:, None]
    seen = torch.cat([network.features(some.float() / 255) for some in pictures.split(ROWS)])
    found = Moments.of(seen.double().numpy())
    np.savez(STATISTICS, mu=found.mean.astype("f4"), sigma=found.covariance.astype("f4"))
    print(f"{found.count} pictures, trace of the covariance {np.trace(found.covariance):.4f}")


if __name__ == "__main__":
    main()
