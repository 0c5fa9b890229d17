"""What training runs share: learning rate, running average, checkpoints, a curve."""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from noisesearch.worker.residence import keep_buffers

RUNS = Path(__file__).parent / "runs"
EMA = 0.999
SAVE_SECONDS = 180


def options(description: str | None, sizes: Sequence[str]) -> argparse.ArgumentParser:
    """The options of all training scripts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", choices=sizes, default=sizes[0])
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so many minutes")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="the run's folder under training/runs")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--publish", action="store_true", help="write the package's weights too")
    return parser


class Loop:
    """One training run: a network, its running average, optimizers, folder and progress.

    ``loss(network, step)`` draws a batch of its own; where it does so by the step's number, a run
    that was stopped and goes on sees the batches of an unbroken one. ``finish(average)`` is called
    at each checkpoint. ``aside``: what learns along by a loss of its own and is no part of the
    result. ``more()`` gives further columns of the curve, or others in place of those there are.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        network: nn.Module,
        loss: Callable[[nn.Module, int], Tensor],
        finish: Callable[[nn.Module], None],
        aside: nn.Module | None = None,
        more: Callable[[], dict[str, float]] = dict,
    ) -> None:
        if not arguments.steps and not arguments.minutes:
            raise SystemExit("give --steps, --minutes or both")
        torch.set_num_threads(arguments.threads)
        keep_buffers()
        self.arguments, self.network, self.loss, self.finish = arguments, network, loss, finish
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.aside, self.more = aside or nn.Module(), more
        self.optimizers = optimizers(network, self.aside, arguments.rate)
        self.folder = RUNS / (arguments.run or arguments.size)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.step, self.spent = 0, 0.0
        if arguments.resume:
            self.restore()
        count = sum(p.numel() for p in network.parameters())
        print(f"{count:,} parameters, at step {self.step}", flush=True)

    def progress(self) -> float:
        """The share of the run that is done, by steps or by minutes."""
        by_steps = self.step / self.arguments.steps if self.arguments.steps else 0.0
        by_time = self.spent / (60 * self.arguments.minutes) if self.arguments.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def rate(self) -> float:
        """The learning rate: a warm-up, a plateau, then a cosine to nearly zero."""
        warm = min(1.0, (self.step + 1) / 200)
        tail = max(0.0, (self.progress() - 0.4) / 0.6)
        fall = 0.02 + 0.49 * (1 + math.cos(math.pi * tail))
        return float(self.arguments.rate * warm * fall)

    def update(self) -> float:
        """One step of the optimizers and of the running average."""
        loss = self.loss(self.network, self.step)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        weight = 1 - min(EMA, (1 + self.step) / (10 + self.step))
        averages, values = list(self.average.parameters()), list(self.network.parameters())
        torch._foreach_lerp_(averages, [value.detach() for value in values], weight)
        self.step += 1
        return float(loss.detach())

    def run(self) -> None:
        """Train until the steps are made or the minutes are over; a checkpoint every three minutes
        and at the end."""
        saved, losses = time.time(), list[float]()
        while self.progress() < 1:
            began = time.time()
            losses.append(self.update())
            self.spent += time.time() - began
            if self.step % 100 == 0:
                self.log(sum(losses) / len(losses))
                losses = []
            if time.time() - saved > SAVE_SECONDS:
                self.checkpoint()
                saved = time.time()
        self.checkpoint()

    def log(self, loss: float) -> None:
        """Append one line to the training curve."""
        line = {"step": self.step, "minutes": round(self.spent / 60, 2),
                "rate": round(self.rate(), 6), "loss": round(loss, 5), **self.more()}  # fmt: skip
        with (self.folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(line) + "\n")

    def checkpoint(self) -> None:
        """Keep everything to go on from, and what the script makes of the average."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "aside": self.aside.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "spent": self.spent,
        }
        torch.save(state, self.folder / "last.pt.part")
        (self.folder / "last.pt.part").rename(self.folder / "last.pt")
        self.finish(self.average)

    def restore(self) -> None:
        """Go on from the last checkpoint."""
        state = torch.load(self.folder / "last.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.aside.load_state_dict(state.get("aside", {}))
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.spent = state["step"], state["spent"]


def optimizers(network: nn.Module, aside: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks and AdamW for everything else."""
    hidden, rest = [], []
    for name, parameter in network.named_parameters():
        inside = "blocks." in name and name.endswith("weight") and parameter.ndim == 2
        (hidden if inside else rest).append(parameter)
    rest.extend(aside.parameters())
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    ]
    if hidden:
        found.append(torch.optim.Muon(
            hidden, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw", ns_steps=4
        ))  # fmt: skip
    return found
