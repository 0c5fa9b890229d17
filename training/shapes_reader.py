"""Teach the generator's text encoder what prompts say, before it sees any image.

Larger models take a text encoder that was trained on text alone and leave it as it is; this is
the same in small. The reader answers seven questions about the prompt (`meaning`), each from a
hidden word of its own. `shapes_generator.py` runs this first and then freezes the reader.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noisesearch.worlds.shapes import benchmark
from noisesearch.worlds.shapes.network import ShapesTransformer
from noisesearch.worlds.shapes.prompts import parse, tokenize
from noisesearch.worlds.shapes.scene import COLOURS, SHAPES, Spec
from shapes_data import ShapesPool

SLOTS = (4, 11, 7, 4, 11, 7, 4)  # answers to: count, colour, shape of each group; relation
BATCH = 256
RATE = 1e-3


def meaning(spec: Spec) -> list[int]:
    """What a Spec says as one answer to each of SLOTS; 0 where there is no second group."""
    answers = [0] * len(SLOTS)
    for place, group in enumerate(spec.groups):
        colour = 0 if group.colour is None else 1 + COLOURS.index(group.colour)
        answers[3 * place : 3 * place + 3] = [group.count, colour, 1 + SHAPES.index(group.shape)]
    answers[-1] = (None, "and", "left of", "above").index(spec.relation)
    return answers


def slots_loss(answers: Sequence[Tensor], true: Tensor) -> Tensor:
    """The mean cross-entropy of the scores for each question to what is right [B, 7]."""
    parts = zip(answers, true.unbind(1), strict=True)
    return torch.stack([F.cross_entropy(said.float(), right) for said, right in parts]).mean()


class Questions(nn.Module):
    """Answers the i-th question from the i-th hidden word."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, answers) for answers in SLOTS)

    def forward(self, words: Tensor) -> list[Tensor]:
        """Scores [B, answers] for each question, of hidden words [B, text_length, width]."""
        return [head(words[:, place]) for place, head in enumerate(self.heads)]


def train_reader(network: ShapesTransformer, pool: ShapesPool, steps: int, seed: int) -> None:
    """Train words, places and reader on the captions of the pool."""
    rng = np.random.default_rng([seed, 1])
    questions = Questions(network.config.width)
    parameters = [*network.text_parameters(), *questions.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98))
    for step in range(steps):
        rows = rng.integers(len(pool.specs), size=BATCH)
        caption = rng.integers(pool.tokens.shape[1], size=BATCH)
        tokens = torch.from_numpy(pool.tokens[rows, caption].astype(np.int64))
        true = torch.tensor([meaning(pool.specs[row]) for row in rows])
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 100) * (1 - step / steps)
        with torch.autocast("cpu", torch.bfloat16):
            answers = questions(network.read(tokens))
        loss = slots_loss(answers, true)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 100 == 0:
            print(f"reading: step {step + 1}, loss {loss.item():.4f}", flush=True)
    print(f"benchmark prompts read wholly right: {share_read(network, questions):.3f}", flush=True)


@torch.no_grad()
def share_read(network: ShapesTransformer, questions: Questions) -> float:
    """The share of benchmark prompts, none of them in the pool, read without a mistake."""
    prompts = [each.prompt for each in benchmark.load()]
    tokens = torch.from_numpy(np.stack([tokenize(prompt) for prompt in prompts]))
    true = torch.tensor([meaning(parse(prompt)) for prompt in prompts])
    said = torch.stack([scores.argmax(dim=1) for scores in questions(network.read(tokens))], dim=1)
    return float((said == true).all(dim=1).float().mean())
