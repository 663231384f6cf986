"""Train the demo model: `python -m training.train --corpus FILE`.

Runs for a set time through the phases of `schedule`, writes a log and checkpoints outside the project, goes on from the
last checkpoint when started again, and exports the weights at the end. One run reproduces the weights within the noise
of the hardware: phases are shares of the time, so a faster machine sees more text.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dashapp.model.config import GPT2Config
from training.batches import Batch, mixed_batch
from training.corpus import Corpus, CorpusError, read_corpus
from training.export import save_model
from training.initial import initial_model
from training.objective import cross_entropy, sampled_candidates
from training.probes import head_scores
from training.schedule import Phase, learning_rate, phase_at

DEMO_CONFIG = GPT2Config(
    n_layer=6, n_head=8, d_model=256, d_mlp=1024, n_ctx=1024, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0
)
N_FREQUENT, N_RANDOM = 5_000, 2_000  # of the sampled softmax
LOG_EVERY, CHECKPOINT_EVERY_S = 100, 120.0


class Trainer:
    """Model, optimiser, random streams and clock: all that a checkpoint must hold."""

    def __init__(
        self,
        corpus: Corpus,
        *,
        seed: int,
        minutes: float,
        device: str = "cpu",
        is_bfloat16: bool = False,
        config: GPT2Config = DEMO_CONFIG,
    ) -> None:
        self.corpus, self.device, self.total_s, self.is_bfloat16 = corpus, device, minutes * 60, is_bfloat16
        self.model = initial_model(config, seed).to(device)
        named = list(self.model.named_parameters())
        groups = [[p for n, p in named if ".attn." not in n], [p for n, p in named if ".attn." in n]]
        self.optimiser = torch.optim.Adam(
            [{"params": group} for group in groups], lr=0.0, betas=(0.9, 0.98), fused=True
        )
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        counts = np.bincount(np.concatenate(corpus.training), minlength=config.d_vocab)
        self.frequent = torch.from_numpy(np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT]).copy())
        self.step, self.elapsed_s, self.n_token = 0, 0.0, 0

    @property
    def progress(self) -> float:
        return self.elapsed_s / self.total_s

    def batch(self, phase: Phase) -> Batch:
        return mixed_batch(
            self.rng,
            self.corpus.training,
            n_row=phase.n_row,
            n_pos=phase.n_pos,
            lesson_share=phase.lesson_share,
            repeats_share=phase.repeats_share,
            n_ctx=self.model.config.n_ctx,
        )

    def loss(self, batch: Batch) -> Tensor:
        """Weighted mean cross-entropy in nats."""
        ids, weight = batch.ids.to(self.device), batch.weight[:, 1:].to(self.device)
        counted = weight > 0  # [row pos - 1]
        targets, weight = ids[:, 1:][counted], weight[counted]
        candidates, offset = self._candidates(targets)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.is_bfloat16):
            x = self.model.embed(ids, batch.first_pos)
            x = x.bfloat16() if self.is_bfloat16 else x
            hidden = self.model.ln_f(self.model.run_blocks(x))[:, :-1][counted]  # [token d_model]
            return cross_entropy(
                hidden, targets, weight, wte=self.model.wte.weight, candidates=candidates, offset=offset
            )

    def _candidates(self, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.device != "cpu":  # a GPU affords the whole vocabulary
            return torch.arange(self.model.config.d_vocab, device=self.device), None
        return sampled_candidates(
            targets,
            self.frequent,
            n_random=N_RANDOM,
            d_vocab=self.model.config.d_vocab,
            generator=self.generator,
        )

    def train_step(self) -> float:
        """One update; the cross-entropy in nats."""
        phase = phase_at(self.progress)
        rate = learning_rate(self.progress, self.step)
        for group, factor in zip(self.optimiser.param_groups, (1.0, phase.attention_factor), strict=True):
            group["lr"] = rate * factor
        batch = self.batch(phase)
        loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.n_token += batch.ids.numel()
        return loss.item()

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "generator": self.generator.get_state(),
            "counters": [self.step, self.elapsed_s, self.n_token],
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.generator.set_state(state["generator"])
        self.step, self.elapsed_s, self.n_token = state["counters"]


def log_line(trainer: Trainer, losses: dict[str, list[float]]) -> str:
    """Step, time, tokens, mean loss since the last line, best head scores on a held-out probe."""
    scores = head_scores(trainer.model, block=32, n_row=4)
    return json.dumps(
        {
            "step": trainer.step,
            "elapsed_s": round(trainer.elapsed_s),
            "n_token": trainer.n_token,
            **{f"loss_{name}": round(sum(values) / len(values), 3) for name, values in losses.items()},
            "previous_token": round(float(scores.previous_token.max()), 3),
            "induction": round(float(scores.induction.max()), 3),
        }
    )


def train(trainer: Trainer, work: Path, out: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        trainer.resume(checkpoint)
    losses: dict[str, list[float]] = defaultdict(list)
    saved_s = trainer.elapsed_s
    started_s = time.monotonic() - trainer.elapsed_s
    with (work / "log.jsonl").open("a") as log:
        while trainer.progress < 1:
            name = phase_at(trainer.progress).name
            losses[name].append(trainer.train_step())
            trainer.elapsed_s = time.monotonic() - started_s
            if trainer.step % LOG_EVERY == 0:
                print(log_line(trainer, losses), file=log, flush=True)
                losses.clear()
            if trainer.elapsed_s - saved_s > CHECKPOINT_EVERY_S:
                trainer.save(checkpoint)
                saved_s = trainer.elapsed_s
    trainer.save(checkpoint)
    save_model(trainer.model, out)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--corpus", type=Path, help="demo_corpus.txt.xz, which is not part of the project")
    parser.add_argument("--out", type=Path, default=Path("/tmp/train/demo"), help="folder of the exported model")
    parser.add_argument("--work", type=Path, default=Path("/tmp/train/run"), help="folder of checkpoint and log")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--minutes", type=float, default=70.0, help="training time, resumed parts included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="autocast and a bfloat16 residual stream")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        corpus = read_corpus(options.corpus)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    trainer = Trainer(
        corpus, seed=options.seed, minutes=options.minutes, device=options.device, is_bfloat16=options.bfloat16
    )
    train(trainer, options.work, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
