"""Where training starts, how its phases follow each other, and that an interrupted run goes on as if whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dashapp.model.config import GPT2Config
from dashapp.model.weights import Weights
from training import schedule, train
from training.corpus import Corpus
from training.export import save_model
from training.initial import AGAINST_GAIN, INDUCTION_HEADS, PREVIOUS_TOKEN_HEADS, initial_model, write_against
from training.probes import head_scores
from training.schedule import PHASES, Phase, phase_at, rate_factor
from training.train import Trainer, main

SMALL = GPT2Config(n_layer=4, n_head=16, d_model=128, d_mlp=32, n_ctx=256, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0)


def small_trainer() -> Trainer:
    books = tuple(np.random.default_rng(book).integers(0, 50_256, 700).astype(np.uint16) for book in range(2))
    return Trainer(Corpus(training=books, held_out=books), seed=0, minutes=1, config=SMALL)


@pytest.fixture(scope="module")
def start() -> GPT2Config:
    return GPT2Config(n_layer=4, n_head=8, d_model=256, d_mlp=16, n_ctx=128)


def test_the_circuits_are_sketched_where_the_code_says(start: GPT2Config) -> None:
    scores = head_scores(initial_model(start, seed=0).eval(), block=30, n_row=2)
    for layer, head in PREVIOUS_TOKEN_HEADS:
        assert scores.previous_token[layer, head] > 0.8
    for layer, head in INDUCTION_HEADS[0]:
        assert scores.induction[layer, head] > 0.5
    sketched = {*PREVIOUS_TOKEN_HEADS, *(place for pair in INDUCTION_HEADS for place in pair)}
    others = [(layer, head) for layer in range(4) for head in range(8) if (layer, head) not in sketched]
    assert max(scores.previous_token[place] for place in others) < 0.2
    assert max(scores.induction[place] for place in others) < 0.2


def test_phases_follow_each_other_to_the_end() -> None:
    assert [phase.until for phase in PHASES] == sorted(phase.until for phase in PHASES)
    assert phase_at(0.0) is PHASES[0]
    assert phase_at(1.0) is PHASES[-1]
    assert PHASES[-1].until == 1


def test_the_rates_warm_up_and_fall_to_zero_at_the_end() -> None:
    assert rate_factor(0.0, 0) < rate_factor(0.0, 50) < rate_factor(0.0, 1000) == 1
    assert rate_factor(1 - schedule.FALL, 1000) == 1
    assert rate_factor(1 - schedule.FALL / 2, 1000) == pytest.approx(0.5)
    assert rate_factor(1.0, 1000) == 0


@pytest.fixture
def one_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    phase = Phase("short", 1.0, books=(2, 40), lessons=(2, 30), repeats=(1, 30))
    monkeypatch.setattr(schedule, "PHASES", (phase,))


@pytest.mark.usefixtures("one_phase")
def test_an_interrupted_run_goes_on_as_if_whole(tmp_path: Path) -> None:
    whole, resumed = small_trainer(), small_trainer()
    whole.train_step()
    whole.save(tmp_path / "checkpoint.pt")
    whole.train_step()
    resumed.resume(tmp_path / "checkpoint.pt")
    resumed.train_step()
    assert resumed.step == whole.step == 2
    for name, parameter in whole.model.named_parameters():
        assert torch.equal(parameter, resumed.model.get_parameter(name)), name


@pytest.mark.usefixtures("one_phase")
def test_every_weight_takes_part_and_of_the_embedding_only_the_rows_that_were_used() -> None:
    trainer = small_trainer()
    trainer.frequent = torch.arange(10)
    before = {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}
    trainer.train_step()
    trainer.train_step()  # MLPs write nothing at first, so that their input weights learn from the second step on
    moved = {name: parameter != before[name] for name, parameter in trainer.model.named_parameters()}
    assert all(changed.any() for changed in moved.values())
    n_used = int(moved["wte.weight"].any(1).sum())
    assert 2_000 < n_used < 5_000  # in each step 1,500 drawn at random, ten frequent ones, and the batch's own


@pytest.mark.usefixtures("one_phase")
def test_steps_on_the_same_books_lower_their_loss() -> None:
    trainer = small_trainer()
    losses = [trainer.train_step()["books"] for _ in range(40)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1


def test_weights_to_go_on_from_stand_for_the_first_phase(tmp_path: Path) -> None:
    model = initial_model(SMALL, seed=1)
    save_model(model, tmp_path)
    books = tuple(np.random.default_rng(book).integers(0, 50_256, 700).astype(np.uint16) for book in range(2))
    trainer = Trainer(Corpus(training=books, held_out=books), seed=0, minutes=1, start=tmp_path)
    assert phase_at(trainer.progress + 1e-9) is PHASES[1]
    for name, parameter in model.named_parameters():
        assert torch.equal(trainer.model.get_parameter(name), parameter.half().float()), name
    assert not trainer.has_name_heads


def test_heads_are_said_to_be_set_of_given_weights_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--corpus", "nowhere", "--sketched"]) == 2
    assert "--sketched is said of the weights of --start" in capsys.readouterr().err


@pytest.mark.usefixtures("one_phase")
def test_heads_that_an_earlier_run_set_against_names_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train.write_against", lambda *_args: pytest.fail("the heads were set again"))
    save_model(initial_model(SMALL, seed=1), tmp_path)
    books = tuple(np.random.default_rng(book).integers(0, 50_256, 700).astype(np.uint16) for book in range(2))
    corpus = Corpus(training=books, held_out=books)
    Trainer(corpus, seed=0, minutes=1, start=tmp_path, is_sketched=True).train_step()


def test_heads_that_write_against_keep_their_gaze_and_write_the_opposite_of_what_they_see() -> None:
    model, heads = initial_model(SMALL, seed=1).double(), [(2, 3), (3, 0)]
    names, width = torch.arange(400), SMALL.d_head
    embeddings = model.wte.weight[names] - model.wte.weight[names].mean(0)
    before = {layer: model.get_parameter(f"h.{layer}.attn.c_attn.weight").clone() for layer, _ in heads}
    write_against(model, heads, names, torch.Generator().manual_seed(0))
    embeddings, written = embeddings.detach(), torch.zeros_like(embeddings, requires_grad=False)
    for layer, head in heads:
        weight = model.get_parameter(f"h.{layer}.attn.c_attn.weight")
        columns = slice(head * width, (head + 1) * width)
        value = weight[:, 2 * SMALL.d_model :][:, columns]  # [d_model d_head]
        written += embeddings @ (value @ model.get_parameter(f"h.{layer}.attn.c_proj.weight")[columns]).detach()
        assert torch.equal(weight[:, : 2 * SMALL.d_model], before[layer][:, : 2 * SMALL.d_model])
    likeness = torch.nn.functional.cosine_similarity(written, embeddings)
    assert float(likeness.max()) < 0
    kept = torch.linalg.svdvals(embeddings)[: 2 * width].square().sum() / embeddings.square().sum()
    projected = -(written * embeddings).sum() / embeddings.square().sum() / AGAINST_GAIN
    assert float(projected) == pytest.approx(float(kept))  # Eckart-Young: no other span of that size keeps more


@pytest.mark.usefixtures("one_phase")
def test_the_heads_are_set_once_when_the_first_phase_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "N_SKETCH", 3)
    trainer, again = small_trainer(), small_trainer()
    trainer.train_step()
    assert not trainer.has_name_heads
    trainer.elapsed_s = (train.PHASES[0].until + 0.01) * trainer.total_s
    trainer.train_step()
    assert trainer.has_name_heads
    trainer.save(tmp_path / "checkpoint.pt")
    again.resume(tmp_path / "checkpoint.pt")
    assert again.has_name_heads


def test_the_exported_folder_opens_as_the_model_that_was_saved(tmp_path: Path) -> None:
    model = initial_model(SMALL, seed=0)
    save_model(model, tmp_path)
    weights = Weights.open(tmp_path)
    assert weights.config.computation == SMALL.computation
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(weights.float32(name), parameter.detach().half().float().numpy(), err_msg=name)
