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
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dashapp.model.checkpoint import load_model
from dashapp.model.config import GPT2Config
from dashapp.model.gpt2 import GPT2, Block
from dashapp.model.tokenizer import encode
from dashapp.model.weights import Weights
from training.batches import Batch, step_batches
from training.corpus import Corpus, CorpusError, read_corpus
from training.curriculum import NAMES, part, strangers, two_names
from training.evaluate import measure_lessons, name_heads
from training.export import save_model
from training.initial import N_AGAINST, initial_model, write_against
from training.objective import cross_entropy, sampled_vocabulary
from training.optimiser import BETAS, EPS, Muon, RowAdam
from training.probes import head_scores
from training.schedule import MATRIX_RATES, OTHER_RATE, PHASES, phase_at, rate_factor

DEMO_CONFIG = GPT2Config(
    n_layer=6, n_head=8, d_model=256, d_mlp=1024, n_ctx=1024, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0
)
N_FREQUENT, N_RANDOM = 3_000, 1_500  # of the sampled softmax
LOG_EVERY, CHECKPOINT_EVERY_S = 100, 240.0
N_SKETCH = 60  # lessons by which the heads that look at the giver are found
N_PROBE = 30  # held-out lessons of each kind in a line of the log


class Optimiser:
    """Muon for the matrices of the blocks, Adam for the embedding by rows and for all that is small."""

    def __init__(self, model: GPT2) -> None:
        self.model = model
        self.muon = Muon(self._matrices(lambda parameter: parameter.detach()))
        self.rows = RowAdam(model.wte.weight.detach())
        model.wte.weight.requires_grad_(False)  # its rows get their gradients by themselves
        self.small = [p for name, p in model.named_parameters() if p.dim() == 1 or name == "wpe.weight"]
        self.adam = torch.optim.Adam(self.small, lr=0.0, betas=BETAS, eps=EPS, fused=True)

    def _matrices(self, read: Callable[[Tensor], Tensor]) -> list[list[Tensor]]:
        """Of each block, queries, keys, values and attention's output; then the MLP's two: lists of one shape each."""
        blocks = [cast(Block, block) for block in self.model.h]
        square = [part for b in blocks for part in read(b.attn.c_attn.weight).chunk(3, dim=1)]
        square += [read(b.attn.c_proj.weight) for b in blocks]
        return [square, [read(b.mlp.c_fc.weight) for b in blocks], [read(b.mlp.c_proj.weight) for b in blocks]]

    def step(self, used: Tensor, by_row: Tensor, factor: float) -> None:
        """used: int64 [row], tokens whose embeddings took part. by_row: their gradient. factor: of the peak rates."""
        torch.nn.utils.clip_grad_norm_(self.small, 1.0)
        self.muon.step(self._matrices(gradient_of), [rate * factor for rate in MATRIX_RATES])
        self.rows.step(used, by_row, OTHER_RATE * factor)
        self.adam.param_groups[0]["lr"] = OTHER_RATE * factor
        self.adam.step()
        for parameter in self.model.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        rows = self.rows
        return {
            "muon": self.muon.momenta,
            "rows": [rows.mean, rows.square, rows.count],
            "adam": self.adam.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for mine, kept in zip(self.muon.momenta, state["muon"], strict=True):
            mine.copy_(kept)
        for mine, kept in zip((self.rows.mean, self.rows.square, self.rows.count), state["rows"], strict=True):
            mine.copy_(kept)
        self.adam.load_state_dict(state["adam"])


def gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "every matrix of the blocks takes part in every step"
    return parameter.grad


class Trainer:
    """Model, optimiser, random streams and clock: all that a checkpoint must hold.

    start: folder of weights to go on from instead of random ones; it stands for the first phase. is_sketched: the heads
    of these weights were set against names by an earlier run, and keep what they have learned since.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        seed: int,
        minutes: float,
        device: str = "cpu",
        is_bfloat16: bool = False,
        config: GPT2Config = DEMO_CONFIG,
        start: Path | None = None,
        is_sketched: bool = False,
    ) -> None:
        self.corpus, self.device, self.total_s, self.is_bfloat16 = corpus, device, minutes * 60, is_bfloat16
        model = load_model(Weights.open(start), device="cpu") if start else initial_model(config, seed)
        self.model = model.to(device).train().requires_grad_(True)
        self.optimiser = Optimiser(self.model)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        counts = np.bincount(np.concatenate(corpus.training), minlength=config.d_vocab)
        self.frequent = torch.from_numpy(np.sort(np.argsort(-counts, kind="stable")[:N_FREQUENT]).copy())
        self.step, self.n_token, self.has_name_heads = 0, 0, is_sketched
        self.skipped_s = PHASES[0].until * self.total_s if start else 0.0
        self.elapsed_s = self.skipped_s  # a place in the schedule

    @property
    def progress(self) -> float:
        return self.elapsed_s / self.total_s

    def train_step(self) -> dict[str, float]:
        """One update; the mean loss of each kind of text in nats."""
        phase = phase_at(self.progress)
        if not self.has_name_heads and self.progress >= PHASES[0].until:
            self._sketch_name_heads()
        batches = step_batches(self.rng, self.corpus.training, phase, n_ctx=self.model.config.n_ctx)
        used, offset = self._vocabulary(torch.cat([batch.ids.flatten() for batch in batches.values()]))
        rows = self.model.wte.weight.detach()[used].requires_grad_(True)  # [row d_model]
        loss, by_kind = self.loss(batches, used, rows, offset)
        loss.backward()
        assert rows.grad is not None
        self.optimiser.step(used, rows.grad, rate_factor(self.progress, self.step))
        self.step += 1
        self.n_token += sum(batch.ids.numel() for batch in batches.values())
        return by_kind

    def _sketch_name_heads(self) -> None:
        """Heads of the last two layers that look at the giver most shall write against what they see."""
        model, rng = self.model, Random(0)
        looks = name_heads(model, [two_names(rng, "training") for _ in range(N_SKETCH)])
        late = (looks.looks_other - looks.looks_right)[-2:]
        order = np.argsort(-late, axis=None, kind="stable")[:N_AGAINST]
        heads = [
            (model.config.n_layer - 2 + int(place) // model.config.n_head, int(place) % model.config.n_head)
            for place in order
        ]
        names = [int(encode(f" {name}")[0]) for name in (*strangers(), *part(NAMES, "training"))]
        write_against(model, heads, torch.tensor(names), self.generator)
        self.has_name_heads = True

    def _vocabulary(self, present: Tensor) -> tuple[Tensor, Tensor]:
        d_vocab = self.model.config.d_vocab
        if self.device != "cpu":  # a GPU affords the whole vocabulary
            return torch.arange(d_vocab, device=self.device), torch.zeros(d_vocab, device=self.device)
        return sampled_vocabulary(present, self.frequent, n_random=N_RANDOM, d_vocab=d_vocab, generator=self.generator)

    def loss(
        self, batches: Mapping[str, Batch], used: Tensor, rows: Tensor, offset: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        """Weighted mean cross-entropy of all that counts, and the plain mean of each kind, in nats."""
        place = torch.full((self.model.config.d_vocab,), -1, dtype=torch.int64, device=self.device)
        place[used] = torch.arange(len(used), device=self.device)
        states, targets, weights = [], [], []
        for batch in batches.values():
            ids, weight = place[batch.ids.to(self.device)], batch.weight[:, 1:].to(self.device)
            counted = weight > 0  # [row pos - 1]
            positions = self.model.wpe.weight[batch.first_pos : batch.first_pos + ids.shape[1]]
            with torch.autocast(self.device, torch.bfloat16, enabled=self.is_bfloat16):
                x = self.model.run_blocks(F.embedding(ids, rows) + positions)
            states.append(x[:, :-1][counted].float())  # [token d_model]
            targets.append(ids[:, 1:][counted])
            weights.append(weight[counted])
        hidden = self.model.ln_f(torch.cat(states))
        loss, losses = cross_entropy(hidden, rows, torch.cat(targets), torch.cat(weights), offset, chunk=self._chunk)
        parts = losses.split([len(target) for target in targets])
        return loss, {kind: float(part.mean()) for kind, part in zip(batches, parts, strict=True)}

    @property
    def _chunk(self) -> int:
        return 256 if self.device == "cpu" else 2048  # tokens whose logits are held at once

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "generator": self.generator.get_state(),
            "counters": [self.step, self.elapsed_s, self.n_token, self.has_name_heads],
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.generator.set_state(state["generator"].cpu())
        self.step, self.elapsed_s, self.n_token, self.has_name_heads = state["counters"]


def log_line(trainer: Trainer, losses: Mapping[str, list[float]]) -> str:
    """Step, time, tokens, mean losses since the last line, best head scores, shares of held-out lessons right."""
    model = trainer.model
    scores = head_scores(model, block=32, n_row=4)
    return json.dumps(
        {
            "step": trainer.step,
            "elapsed_s": round(trainer.elapsed_s - trainer.skipped_s),
            "n_token": trainer.n_token,
            "phase": phase_at(trainer.progress).name,
            **{f"loss_{kind}": round(sum(values) / len(values), 3) for kind, values in losses.items()},
            "previous_token": round(float(scores.previous_token.max()), 3),
            "induction": round(float(scores.induction.max()), 3),
            **{kind: round(score.accuracy, 2) for kind, score in measure_lessons(model, N_PROBE).items()},
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
            for kind, loss in trainer.train_step().items():
                losses[kind].append(loss)
            trainer.elapsed_s = time.monotonic() - started_s
            if trainer.step % LOG_EVERY == 0:
                print(log_line(trainer, losses), file=log, flush=True)
                losses.clear()
            if trainer.elapsed_s - saved_s > CHECKPOINT_EVERY_S:
                trainer.save(checkpoint)
                saved_s = trainer.elapsed_s
        print(log_line(trainer, losses), file=log, flush=True)
    trainer.save(checkpoint)
    save_model(trainer.model, out)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--corpus", type=Path, help="demo_corpus.txt.xz, which is not part of the project")
    parser.add_argument("--out", type=Path, default=Path("/tmp/train/demo"), help="folder of the exported model")
    parser.add_argument("--work", type=Path, default=Path("/tmp/train/run"), help="folder of checkpoint and log")
    parser.add_argument("--start", type=Path, help="folder of weights that stand for the first phase")
    parser.add_argument("--sketched", action="store_true", help="--start has its heads set against names already")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--minutes", type=float, default=120.0, help="training time, resumed parts included")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="autocast and a bfloat16 residual stream")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.sketched and options.start is None:
        print("--sketched is said of the weights of --start, and there are none.", file=sys.stderr)
        return 2
    try:
        corpus = read_corpus(options.corpus)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")  # TF32 where the device has it; a CPU computes as before
    trainer = Trainer(
        corpus,
        seed=options.seed,
        minutes=options.minutes,
        device=options.device,
        is_bfloat16=options.bfloat16,
        start=options.start,
        is_sketched=options.sketched,
    )
    train(trainer, options.work, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
