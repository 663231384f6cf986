"""The command line, called as a person calls it: arguments in, text and exit status out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import dashapp
from dashapp.cli import main
from dashapp.jobs.manager import open_job_cache
from dashapp.panels.catalogue import BY_PAGE
from dashapp.settings import Settings, flag, setting_names, variable
from dashapp.store.recipes import RecipeStore


@pytest.fixture(autouse=True)
def surroundings(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny text model, and a cache of this test's own."""
    monkeypatch.setenv("DASHAPP_MODEL", str(model_folder))
    monkeypatch.setenv("DASHAPP_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(tmp_path / "cache"))


def printed_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(arguments) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_trace_prints_one_row_a_token(capsys: pytest.CaptureFixture[str], model_folder: Path) -> None:
    assert main(["trace", "The cat sat"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["0", "1", "2", "3"]
    assert "' cat'" in lines[3]
    assert "bits" in lines[3]
    assert lines[0].split("  ")[-2].strip() == "likelier tokens"
    column = slice(lines[0].index("likelier"), lines[0].index("  expected"))
    ranks = dashapp.trace(dashapp.load(model_folder), "The cat sat", cache=False).read("rank").tolist()
    assert [line[column].strip() for line in lines[1:5]] == ["", *(f"{rank:,}" for rank in ranks[1:])]
    assert "Likelier tokens: how many were expected more." in lines[5]
    assert "bits" not in lines[1]  # nothing stands before the first token, so nothing was expected of it


def test_written_trace_is_what_the_python_api_reads(tmp_path: Path, model_folder: Path) -> None:
    file = tmp_path / "a.trace"
    assert main(["trace", "The cat sat", "--out", str(file)]) == 0
    opened = dashapp.Trace.open(file)
    assert opened.token_texts == ["<|endoftext|>", "The", " cat", " sat"]
    computed = dashapp.trace(dashapp.load(model_folder), "The cat sat", cache=False)
    np.testing.assert_array_equal(opened.q, computed.q)


def test_trace_tells_of_a_file_what_it_told_of_the_prompt(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = str(tmp_path / "a.safetensors")
    told = printed_json(capsys, "trace", "The cat sat", "--json", "--out", file)
    assert printed_json(capsys, "trace", "--open", file, "--json") == told
    (tmp_path / "a.safetensors").write_text("no trace")
    assert main(["trace", "--open", file]) == 2


def test_trace_json_agrees_with_the_trace(capsys: pytest.CaptureFixture[str], model_folder: Path) -> None:
    shown = printed_json(capsys, "trace", "Hi there", "--json", "--no-bos")
    trace = dashapp.trace(dashapp.load(model_folder), "Hi there", bos=False, cache=False)
    assert shown["key"] == trace.key
    assert shown["fingerprint"] == trace.fingerprint
    tokens = shown["tokens"]
    assert isinstance(tokens, list)
    assert [token["id"] for token in tokens] == trace.token_ids.tolist()
    assert tokens[0]["logprob"] is None  # JSON has no NaN
    # float32 printed as decimal digits and read back: exact
    assert [token["logprob"] for token in tokens[1:]] == trace.read("logprob")[1:].tolist()


def test_generate_prints_the_text_of_the_run(capsys: pytest.CaptureFixture[str], model_folder: Path) -> None:
    arguments = ["generate", "Once", "--max-new-tokens", "5", "--temperature", "0.8", "--top-k", "50", "--seed", "3"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    run = dashapp.generate(
        dashapp.load(model_folder), "Once", max_new_tokens=5, temperature=0.8, top_k=50, seed=3, cache=False
    )
    assert text == run.text + "\n"
    assert main(arguments) == 0  # the second time from the cache
    assert capsys.readouterr().out == text


def test_generate_says_that_the_context_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "Once", "--max-new-tokens", "50", "--no-stop-at-end"]) == 0
    assert capsys.readouterr().err.endswith("The context of 13 tokens is full: the text ends here.\n")
    assert main(["generate", "Once", "--max-new-tokens", "2"]) == 0
    assert "context" not in capsys.readouterr().err


def test_generate_json_holds_settings_and_random_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed_json(capsys, "generate", "Once", "--max-new-tokens", "2", "--json")
    steps = shown["steps"]
    assert isinstance(steps, list)
    assert [0 <= step["u"] < 1 for step in steps] == [True, True]
    assert shown["settings"] == {
        "max_new_tokens": 2, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 0, "stop_at_end": True,
    }  # fmt: skip
    greedy = printed_json(capsys, "generate", "Once", "--max-new-tokens", "1", "--temperature", "0", "--json")
    assert isinstance(greedy["steps"], list)
    assert greedy["steps"][0]["u"] is None


def test_prompt_is_read_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\n".encode())))
    shown = printed_json(capsys, "trace", "-", "--json")
    assert isinstance(shown["tokens"], list)
    assert "".join(token["text"] for token in shown["tokens"][1:]) == "Grüße"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trace", "x", "--model", "gtp2"], "'gpt2'"),
        (["trace", "", "--no-bos"], "at least one token"),
        (["trace", "a b c d e f g h i j k l m n"], "at most 13 tokens. The prompt has 15. Shorten it by 2."),
        (["generate", "x", "--temperature", "-1"], "Temperature must be a number from 0 upwards (0 always"),
        (["generate", "x", "--temperature", "-1"], "Here it is −1.0. Try 0.8."),
        (["generate", "x", "--top-p", "0"], "Here it is 0.0."),
        (["trace", "x", "--dtype", "int8"], "--dtype is one of float32, bfloat16"),
        (["report", "--a", "a b c d e f g h i j k l m n", "--out", "r.html"], "The prompt has 15. Shorten it by 2."),
        (["report", "--a", "x", "--b", "a b c d e f g h i j k l m n", "--out", "r.html"], "The prompt has 15."),
        (["report", "--a", "x", "--page", "compare", "--out", "r.html"], "Name the other one with --b"),
        (["report", "--a", "x", "--align", "1-1", "--out", "r.html"], "leave --align out"),
        (["report", "--a", "x", "--b", "y", "--align", "1:1", "--out", "r.html"], "'1:1' is no edit"),
        (["report", "--a", "x", "--b", "y", "--align", "1-7", "--out", "r.html"], "the last token of b is 1"),
        (["report", "--a", "x", "--max-new-tokens", "-1", "--out", "r.html"], "New tokens must be a whole number"),
        (["report", "--a", "x", "--out", "/no/such/folder/x"], "there is no folder '/no/such/folder'"),
        (["report", "--a", "x", "--page", "generation", "--out", "/dev/full"], "cannot be written: No space left"),
        (
            ["report", "--a", "x", "--cache-dir", "/dev/null/x", "--out", "r.html"],
            "or name another in DASHAPP_CACHE_DIR",
        ),
        (["trace", "x", "--out", "/no/such/folder/x"], "there is no folder '/no/such/folder'"),
        (["generate", "x", "--out", "/"], "'/' cannot be written: it is a folder"),
        (["trace", "x", "--dtype", "float32", "--cache-dir", "/dev/null/x", "--out", ""], "it is a folder"),
    ],
)
def test_refusal_is_one_sentence_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_report_writes_the_pages_of_a_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.html"
    arguments = ["report", "--a", "a b <b>", "--max-new-tokens", "2", "--page", "generation", "--page", "attention"]
    assert main([*arguments, "--theme", "dark", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    titles = [panel.title for page in ("Generation", "Attention") for panel in BY_PAGE[page]]
    assert [title for title in titles if f"<h3>{title}</h3>" not in text] == []
    assert text.count('class="figure"') == len(titles)
    assert "2 generated" in text
    assert 'data-bs-theme="dark"' in text
    said = capsys.readouterr()
    assert said.out == ""
    assert f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB)." in said.err


def test_report_computes_what_takes_long_when_it_is_asked_to(tmp_path: Path) -> None:
    """In a process of its own, which is a job's from then on."""
    prompts = ["--a", "a b c", "--b", "a x c"]
    lacks = {}
    for flags in ([], ["--all"]):
        out = tmp_path / "report.html"
        command = [sys.executable, "-m", "dashapp", "report", *prompts, *flags, "--out", str(out)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        lacks[len(flags)] = out.read_text(encoding="utf-8").count("This figure is not complete")
        assert ("of 2: Patching" in run.stderr) == bool(flags)
        assert ("of 2: Logit lens of both prompts" in run.stderr) == bool(flags)
    assert lacks == {0: 2, 1: 0}


def test_report_shows_what_is_selected_in_both_prompts(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    pair = ["--a", "a b c d", "--b", "x a b c d", "--page", "attention"]
    assert main(["report", *pair, "--pos", "3", "--layer", "1", "--head", "1", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "Token 3" in text  # of a
    assert "Token 4" in text  # of b, which stands for it
    assert "layer 1, head 1" in text
    assert main(["report", *pair, "--pos", "3", "--align", "3-2.b3", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert "The alignment of a and b. Edited by hand: token 3 ‘" in text
    assert "’ of b stays alone." in text
    assert "Token 2" in text  # of b, which is said to stand for it
    assert main(["report", "--a", "a b", "--b", "x", "--pos", "2", "--page", "generation", "--out", str(out)]) == 0
    assert "has no counterpart in b" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--pos", "9"], "A token is a number from 0 to 2. Here it is 9."),
        (["--layer", "3"], "A layer is a number from 0 to 2. Here it is 3."),
        (["--head", "-1"], "A head is a number from 0 to 1."),
        (["--neuron", "11"], "A neuron is a number from 0 to 10."),
        (["--target", "no such word"], "'no such word' is 3 tokens"),
    ],
)
def test_a_selection_outside_of_the_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str
) -> None:
    assert main(["report", "--a", "a b", *flags, "--out", str(tmp_path / "r.html")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_models_lists_demo_the_hub_and_folders(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()[:-1]
    names = [line.split()[0] for line in lines]
    assert lines[0].endswith("  here")
    assert lines[-1].endswith("  not on this machine yet") or "memory" in lines[-1]
    assert names == ["demo", "distilgpt2", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]


def test_cache_counts_and_clears(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "Hi"]) == main(["generate", "Hi", "--max-new-tokens", "1"]) == 0
    capsys.readouterr()
    held = printed_json(capsys, "cache", "--json")
    assert (held["n_traces"], held["n_runs"]) == (1, 1)
    cleared = printed_json(capsys, "cache", "--clear", "--json")
    assert (cleared["n_traces"], cleared["n_runs"], cleared["size_bytes"]) == (0, 0, 0)


def test_cache_counts_and_clears_the_prompts_of_long_links(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    RecipeStore(tmp_path / "cache" / "recipes").put("prompt=my+dear+secret", secret="a secret of a server")
    assert printed_json(capsys, "cache", "--json")["n_recipes"] == 1
    assert printed_json(capsys, "cache", "--clear", "--json")["n_recipes"] == 0
    assert not any((tmp_path / "cache" / "recipes").iterdir())


def test_clearing_leaves_no_byte_of_what_jobs_left(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "jobs"
    with open_job_cache(folder) as jobs:
        jobs.set("key", {"prompt": "my dear secret"})
    assert main(["cache", "--clear"]) == 0
    left = b"".join(file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file())
    assert b"dear secret" not in left
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_out_follows_a_link_and_writes_into_a_pipe(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "target", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    assert main(["trace", "Hi", "--out", str(link)]) == 0
    assert link.is_symlink()
    assert dashapp.Trace.open(target).token_texts == ["<|endoftext|>", "Hi"]
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        assert main(["trace", "Hi", "--out", str(pipe)]) == 0
        assert read.result() == target.read_bytes()
    assert pipe.is_fifo()


def test_input_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ok\xff")))
    assert main(["trace", "-"]) == 2
    assert "Byte 3 of the standard input" in capsys.readouterr().err


def test_terminal_without_unicode_gets_escapes() -> None:
    environ = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run(
        [sys.executable, "-m", "dashapp", "trace", "é"], env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "\\xe9" in run.stdout


def test_run_that_cannot_be_kept_is_still_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "Hi", "--max-new-tokens", "1", "--cache-size", "1KB"]) == 0
    assert capsys.readouterr().out.startswith("Hi")


def test_settings_shows_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{variable(name)}=" in shown and flag(name) in shown for name in setting_names())


def test_printed_settings_can_be_read_back(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["settings", "--cache-size", "2GB"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DASHAPP_")]
    read_back = Settings.read(dict(line.split("=", 1) for line in lines))
    assert read_back == Settings.read(cache_size="2GB")


@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"]])
def test_settings_do_not_show_the_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("DASHAPP_SECRET_KEY", "correct horse battery staple")
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "correct horse" not in shown
    assert "(set, not shown)" in shown


def test_check_tells_each_check_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a b c"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "✓ pass            This trace: The stream begins as token plus position embedding"
    assert lines[1].strip() == "expected no difference, found 0, allowed 0.0001"
    assert "– does not apply  Losses: Loss on “Hello world!”" in lines
    assert lines[-1].startswith("Nothing failed. ")
    told = json.loads((main(["check", "--json"]), capsys.readouterr().out)[1])
    assert [each["verdict"] for each in told[:12]] == ["✓ pass"] * 12
    assert {"check": "Logits are Hugging Face’s", "verdict": "· not asked for"}.items() <= told[14].items()


def test_check_ends_with_1_where_something_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashapp.experiments.checking.identities", lambda trace, progress: {"mlp": 0.1})
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "✗ fail            This trace: The stream grows by GELU" in out
    assert "Failed: The stream grows by GELU" in out


def test_doctor_finds_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "BAD" not in capsys.readouterr().out


def test_doctor_names_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    assert main(["doctor", "--model", str(folder)]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BAD")]
    assert all("config.json" in line for line in bad)
    assert len(bad) == 2  # the model, and the first token it would draw


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "for this machine alone"),
        ({"DASHAPP_HOST": "0.0.0.0"}, "open to everybody who can reach it; DASHAPP_PASSWORD"),
        ({"DASHAPP_HOST": "0.0.0.0", "DASHAPP_PASSWORD": "correct horse"}, "open to who knows the password"),
        ({"DASHAPP_TRUSTED_PROXIES": "1", "DASHAPP_AUTH_HEADER": "X-User"}, "whom a proxy names in X-User"),
    ],
)
def test_doctor_says_who_can_come_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("dashapp.doctor._first_token", lambda _: "not tried here")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert says in next(line for line in out.splitlines() if "door: " in line)
    assert "correct horse" not in out


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "files of at most 500 MB, all of which may take 2,000 MB of the cache"),
        ({"DASHAPP_LARGEST_FILE": "0"}, "no runs may be opened from files: DASHAPP_LARGEST_FILE is 0"),
        ({"DASHAPP_CACHE_SIZE": "800MB"}, "may take 200 MB of the cache and no one of them more"),
        ({"DASHAPP_LARGEST_FILE": "20GB"}, "; the largest needs 40,050 MB of the disk, where 9,000 MB are free"),
    ],
)
def test_doctor_tells_the_room_for_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in ({"DASHAPP_CACHE_SIZE": "8GB"} | variables).items():
        monkeypatch.setenv(name, value)
    disk = SimpleNamespace(total=10**11, used=10**11 - 9 * 10**9, free=9 * 10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda _: disk)
    monkeypatch.setattr("dashapp.doctor._first_token", lambda _: "not tried here")
    assert main(["doctor"]) == 0
    assert says in next(line for line in capsys.readouterr().out.splitlines() if "files: " in line)


@pytest.mark.parametrize(("command", "status"), [("serve", 2), ("doctor", 1)])
def test_a_misspelt_model_among_the_allowed_ones_is_said_at_the_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, status: int
) -> None:
    monkeypatch.setattr("dashapp.server.refuse_taken_port", lambda host, port: None)
    monkeypatch.setenv("DASHAPP_MODELS", "demo,gtp2")
    monkeypatch.setenv("DASHAPP_CACHE_DIR", str(tmp_path))
    assert main([command]) == status
    told = capsys.readouterr()
    assert "'gtp2' is none of these. Known models, nearest first: 'gpt2'" in told.out + told.err


def test_commands_that_run_no_model_import_no_torch() -> None:
    code = (
        "import sys; from dashapp.cli import main; "
        "assert main(['models']) == main(['cache']) == main(['settings']) == 0; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
