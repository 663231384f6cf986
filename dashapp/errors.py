"""Every error a person can meet, in one tree. Knows sentences; knows nothing of models, files or pages.

    DashappError
    ├── PromptError       the person at the prompt can fix it
    │   ├── EmptyPrompt   PromptTooLong   PromptTooLarge   UnencodablePrompt   NotText   BadSampling   EmptySetting
    │   ├── NotOneToken   NotASum   NotADimension   NotAPart   NothingToLookAt   NotThere   NoSecondPrompt
    ├── ConfigError       whoever starts the app can fix it
    │   ├── UnknownSetting   BadSetting   ProxyNotTrusted   SecretKeyMissing
    │   ├── UnknownAllowedModel   PortTaken   TransformersMissing   ScaleMissing   RedisNotSet
    ├── ModelError        whoever chose the model can fix it
    │   ├── NoModelNamed   UnknownModel   ModelNotAllowed   ModelNotHere   OtherWeights
    │   ├── ModelTooLarge   UnsupportedDtype   NoSuchDevice
    │   ├── ModelUnreachable   DiskTooSmall   HubCacheUnwritable   WrongDownload
    │   └── CheckpointError   NotAModelFolder   UnreadableConfig   UnsupportedConfig   ForeignTokenizer
    │       PickledWeights   DamagedFile   UnreadableIndex   UntiedUnembedding
    │       MissingTensor   MisshapedTensor   MistypedTensor   UnknownTensor
    ├── ComparisonError   the two runs do not go together
    │   ├── OtherModels   OtherPlaces   OtherSizes   NoDifference   BadPins
    ├── StoreError        heals itself, or says what stands in the way
    │   ├── DamagedTrace   NotATrace   TraceTooLarge   UnwritableFile   WeightsMissing   RecipeGone   RecipeTooLarge
    │   ├── NotARunFile   RunFileTooLarge   RunFileOff   RunFileBroken   RunFileGone   TooManyRunFiles
    │   └── StoreUnavailable   ObjectStoreUnavailable
    ├── DoorError         somebody is asked to wait, or to sign in
    │   ├── NotAQuestion   AddressTooLong   ShareUsedUp   NotSignedIn   NotSignedInByProxy   TooManyPasswords
    └── JobError          running it again may help
        ├── TooManyWaiting   JobRefused   JobTimedOut   JobOutOfMemory   JobStopped   JobLost   TraceGone   NotThereYet
        ├── QueueUnavailable   NoWorker   UnexpectedFailure

A class owns its sentence: callers pass values, the class says the rule, the instance and the remedy. `ValueError` and
`TypeError` are for programmers and are never caught.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final


class DashappError(Exception):
    """An error with a rule, an instance and a remedy, each one or more whole sentences."""

    def __init__(self, rule: str, instance: str, remedy: str) -> None:
        self.rule, self.instance, self.remedy = rule, instance, remedy
        super().__init__(f"{rule} {instance} {remedy}")


def nearest_first(name: str, known: Iterable[str]) -> str:
    """The known names as "'a', 'b', 'c'", those most like `name` first."""
    known = list(known)
    close = get_close_matches(name, known, n=len(known) or 1, cutoff=0.5)
    return ", ".join(repr(each) for each in [*close, *(each for each in known if each not in close)])


def in_megabytes(size_bytes: int) -> str:
    """A size as people say it: '12.3 MB', '1,204 MB'."""
    megabytes = size_bytes / 1e6
    return f"{megabytes:,.1f} MB" if megabytes < 100 else f"{megabytes:,.0f} MB"


# The prompt ----------------------------------------------------------------------------------------------------------


class PromptError(DashappError):
    """Addressed to the person at the prompt; shown beside it."""


class EmptyPrompt(PromptError):
    def __init__(self) -> None:
        super().__init__(
            "The model needs at least one token to look at.",
            "This prompt is empty and nothing is put in front of it.",
            "Type something, or put <|endoftext|> in front.",
        )


class NoSecondPrompt(PromptError):
    def __init__(self) -> None:
        super().__init__(
            "The page Compare, and edits of an alignment, are of two prompts.",
            "Only one was given.",
            "Name the other one with --b, or choose another page and leave --align out.",
        )


class PromptTooLong(PromptError):
    def __init__(self, n_tokens: int, n_ctx: int) -> None:
        self.n_tokens, self.n_ctx = n_tokens, n_ctx
        super().__init__(
            f"This model reads at most {n_ctx:,} tokens.",
            f"The prompt has {n_tokens:,}.",
            f"Shorten it by {n_tokens - n_ctx:,}.",
        )


class PromptTooLarge(PromptError):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"No prompt of more than {limit_bytes:,} bytes can fit into the model's context.",
            f"This one has {size_bytes:,}.",
            "Paste a shorter passage.",
        )


class UnencodablePrompt(PromptError):
    def __init__(self, position: int, character: str) -> None:
        super().__init__(
            "A prompt must be text that UTF-8 can hold.",
            f"Character {position + 1} is {character!r}, one half of a surrogate pair.",
            "Remove it, or paste the text again from its source.",
        )


class NotOneToken(PromptError):
    def __init__(self, text: str, tokens: Sequence[str]) -> None:
        said = ", ".join(f"'{token}'" for token in tokens)
        super().__init__(
            "Each word here must be one token of the vocabulary, for a token has one vector.",
            f"{text!r} is {len(tokens)} tokens: {said}." if tokens else f"{text!r} is no token.",
            "Write another word, or one of these tokens in quotes, or a token's number as #1234.",
        )


class NotASum(PromptError):
    def __init__(self, text: str) -> None:
        super().__init__(
            "A sum of tokens has words with + or − between them, and blanks around these.",
            f"Here it says {text!r}.",
            "Write it as in: king − man + woman.",
        )


class NotADimension(PromptError):
    def __init__(self, text: str, d_model: int, most: int) -> None:
        super().__init__(
            f"Dimensions are numbers from 0 to {d_model - 1:,}, at most {most} of them, with commas between.",
            f"Here it says {text!r}.",
            "Write them as in: 0, 1, 2.",
        )


class NotAPart(PromptError):
    def __init__(self, text: str, problem: str) -> None:
        super().__init__(
            "Parts are L1H2 for a head, L1MLP for an MLP, L1N2 for a neuron, and 5>3 for token 5 looking at token 3: "
            "in one layer L1:5>3, in one head L1H2:5>3.",
            f"Here {text!r} {problem.rstrip('.')}.",
            "Correct or remove it.",
        )


class NothingToLookAt(PromptError):
    def __init__(self, query: int) -> None:
        super().__init__(
            "Every token must be able to look at something.",
            f"Here token {query} is left with no token to look at.",
            "Leave it one, such as itself.",
        )


class NotThere(PromptError):
    def __init__(self, what: str, value: int, n: int) -> None:
        super().__init__(
            f"A {what} is a number from 0 to {n - 1:,}.",
            f"Here it is {value:,}.",
            "Choose one of these, or leave it out.",
        )


class NotText(PromptError):
    def __init__(self, position: int) -> None:
        super().__init__(
            "A prompt is text in UTF-8.",
            f"Byte {position + 1} of the standard input is not.",
            "Convert the text to UTF-8, or pass the right file.",
        )


# The settings of the sampler as the page names them; flags of the command line are the same words.
SAID_SETTINGS = {
    "max_new_tokens": "New tokens",
    "temperature": "Temperature",
    "top_k": "Top-k",
    "top_p": "Top-p",
    "seed": "Seed",
}


class BadSampling(PromptError):
    def __init__(self, name: str, value: object, rule: str, remedy: str) -> None:
        self.name = name
        said = repr(value) if isinstance(value, str) else repr(value).replace("-", "−")
        super().__init__(f"{SAID_SETTINGS[name]} must be {rule}.", f"Here it is {said}.", remedy)


class EmptySetting(PromptError):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{SAID_SETTINGS[name]} must be a number.", "Here it is empty.", "Fill it in.")


# Settings ------------------------------------------------------------------------------------------------------------


class ConfigError(DashappError):
    """Addressed to whoever starts the app; said at start-up."""


class UnknownSetting(ConfigError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            "Every variable that begins with DASHAPP_ must be one of the app's settings.",
            f"{name!r} is not.",
            f"Known settings, nearest first: {nearest_first(name, known)}.",
        )


class BadSetting(ConfigError):
    def __init__(self, name: str, value: object, rule: str, example: str) -> None:
        super().__init__(f"{name} {rule}.", f"It is {value!r}.", f"Try for example {name}={example} instead.")


class ProxyNotTrusted(ConfigError):
    def __init__(self, header: str) -> None:
        super().__init__(
            "A header that names who is signed in is believed only from a proxy, which removes what visitors claim.",
            f"DASHAPP_AUTH_HEADER is {header!r} and DASHAPP_TRUSTED_PROXIES is 0.",
            "Set DASHAPP_TRUSTED_PROXIES to the number of proxies, and let nobody reach this server past them.",
        )


class SecretKeyMissing(ConfigError):
    def __init__(self) -> None:
        super().__init__(
            "Web processes that share jobs must sign with one key, or none would know what another has signed.",
            "DASHAPP_SECRET_KEY is 'auto', which gives each its own.",
            "Give all of them the same: DASHAPP_SECRET_KEY=$(openssl rand -hex 32).",
        )


class UnknownAllowedModel(ConfigError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            "DASHAPP_MODELS names 'demo', published GPT-2 models, or folders under the models folder.",
            f"{name!r} is none of these.",
            f"Known models, nearest first: {nearest_first(name, known)}.",
        )


class PortTaken(ConfigError):
    def __init__(self, host: str, port: int, cause: str) -> None:
        super().__init__(
            "The server needs an address and a port of this machine that nothing else listens on.",
            f"It cannot listen on {host}:{port}: {cause.rstrip('.')}.",
            f"Stop the other program, or choose another port: DASHAPP_PORT={port % 65535 + 1}.",
        )


class TransformersMissing(ConfigError):
    def __init__(self, cause: object) -> None:
        super().__init__(
            "The comparison with Hugging Face's model needs the package transformers.",
            f"It cannot be imported here: {str(cause).rstrip('.')}.",
            "Run `pip install transformers` in the app's environment and compare again.",
        )


class RedisNotSet(ConfigError):
    def __init__(self) -> None:
        super().__init__(
            "A worker takes its orders from web servers through Redis.",
            "DASHAPP_REDIS is 'auto', which is none.",
            "Give web servers and workers the same: DASHAPP_REDIS=redis://127.0.0.1:6379/0.",
        )


class ScaleMissing(ConfigError):
    def __init__(self, what: str, cause: object) -> None:
        super().__init__(
            f"{what} needs packages that an app on one machine does without.",
            f"They cannot be imported here: {str(cause).rstrip('.')}.",
            "Run `pip install -c constraints.txt '.[scale]'` in the app's environment, or leave DASHAPP_STORE and "
            "DASHAPP_REDIS unset.",
        )


# Models --------------------------------------------------------------------------------------------------------------


class ModelError(DashappError):
    """Addressed to whoever chose the model."""


class NoModelNamed(ModelError):
    def __init__(self) -> None:
        super().__init__(
            "A request says which model it is for.",
            "This one names none.",
            "Choose a model at the top of the page, and press Generate again.",
        )


class UnknownModel(ModelError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            "A model is 'demo', one of the published GPT-2 models, or a folder in Hugging Face format.",
            f"{name!r} is none of these.",
            f"Known models, nearest first: {nearest_first(name, known)}.",
        )


class ModelNotAllowed(ModelError):
    def __init__(self, name: str, allowed: Iterable[str]) -> None:
        super().__init__(
            "This server loads only the models that its operator allows.",
            f"{name!r} is not among them.",
            f"Choose one of {nearest_first(name, allowed)}, or have it added to DASHAPP_MODELS.",
        )


class ModelNotHere(ModelError):
    def __init__(self, name: str) -> None:
        super().__init__(
            "A model must be on this machine before it can be used.",
            f"{name!r} is not here yet.",
            "Download it in the list of models at the top of the page, or choose another there, and press Generate.",
        )


class OtherWeights(ModelError):
    def __init__(self, name: str, wanted: str, found: str) -> None:
        super().__init__(
            "A link shows the same numbers only with the weights that it was made with.",
            f"It was made with {name!r} of fingerprint {wanted[:12]}, and {name!r} here has {found[:12]}.",
            "Run it with the weights that are here, or open the link where its own are; its tokens are the same.",
        )


class ModelTooLarge(ModelError):
    def __init__(self, name: str, needed_bytes: int, available_bytes: int) -> None:
        self.needed_bytes, self.available_bytes = needed_bytes, available_bytes
        super().__init__(
            "A model must fit in the memory that is free.",
            f"{name!r} needs about {in_megabytes(needed_bytes)} and {in_megabytes(available_bytes)} are free.",
            "Choose a smaller model, load it as bfloat16, or free some memory.",
        )


class ModelUnreachable(ModelError):
    def __init__(self, name: str, hub: str, cause: str) -> None:
        super().__init__(
            f"The weights of {name!r} are not on this machine and come from the hub at {hub}.",
            f"They could not be fetched: {cause.rstrip('.')}.",
            f"Connect and try again (a broken download resumes), copy a folder with {name!r} into the models folder, "
            "or use 'demo', which needs no network.",
        )


class DiskTooSmall(ModelError):
    def __init__(self, name: str, needed_bytes: int, folder: object, free_bytes: int) -> None:
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes
        super().__init__(
            "A model that is fetched must fit on the disk.",
            f"{name!r} needs {in_megabytes(needed_bytes)} more in {str(folder)!r}, where {in_megabytes(free_bytes)} "
            "are free.",
            "Free some disk and try again (what has arrived is kept), or name another folder in HF_HUB_CACHE.",
        )


class HubCacheUnwritable(ModelError):
    def __init__(self, folder: object, cause: object) -> None:
        super().__init__(
            "Models that are fetched are kept in the hub's cache, a folder that can be written.",
            f"{str(folder)!r} can not: {str(cause).rstrip('.')}.",
            "Mend the folder's permissions, or name another in HF_HUB_CACHE.",
        )


class WrongDownload(ModelError):
    def __init__(self, name: str, file: str, hub: str, difference: str) -> None:
        super().__init__(
            "A file that is fetched must be the one that the hub names.",
            f"{file!r} of {name!r} came from {hub} with {difference.rstrip('.')}.",
            "It was removed: try again, and if that repeats, look for a proxy that changes what passes through it.",
        )


class UnsupportedDtype(ModelError):
    def __init__(self, dtype: str, reason: str) -> None:
        super().__init__(
            "Models run in float32 or bfloat16 (float64 for checks from Python).",
            f"{dtype!r} was asked for: {reason.rstrip('.')}.",
            "Use dtype='float32'.",
        )


class NoSuchDevice(ModelError):
    def __init__(self, device: str, known: Sequence[str]) -> None:
        super().__init__(
            "A model runs on a device that this machine has.",
            f"{device!r} was asked for.",
            f"Use one of {', '.join(repr(each) for each in ['auto', *known])}.",
        )


class CheckpointError(ModelError):
    """A folder or file of weights that cannot be used as it is."""


class NotAModelFolder(CheckpointError):
    def __init__(self, folder: object, missing: str) -> None:
        super().__init__(
            "A model folder holds config.json and model.safetensors, as save_pretrained() writes them.",
            f"{str(folder)!r} has no {missing}.",
            "Name the folder that holds both files.",
        )


class UnreadableConfig(CheckpointError):
    def __init__(self, path: object, problem: str) -> None:
        super().__init__(
            "A model's config.json is a JSON object with GPT-2's fields.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "Copy the file again from where the model came from.",
        )


class UnsupportedConfig(CheckpointError):
    def __init__(self, path: object, field: str, value: object, accepted: str) -> None:
        self.field = field
        super().__init__(
            f"This app computes GPT-2, where {field} is {accepted}.",
            f"{str(path)!r} has {field} = {value!r}, which would change the computation.",
            "Use a GPT-2 model without that change.",
        )


class ForeignTokenizer(CheckpointError):
    def __init__(self, path: object, problem: str) -> None:
        super().__init__(
            "Prompts are split by GPT-2's own tokenizer of 50,257 tokens, so a model must use the same.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "Use a model trained with GPT-2's tokenizer.",
        )


class PickledWeights(CheckpointError):
    def __init__(self, path: object) -> None:
        super().__init__(
            "Weights are read only from safetensors files: opening a pickle can run any program it contains.",
            f"{str(path)!r} is a pickle.",
            "Convert it where you trust it: load it there with transformers, then save_pretrained().",
        )


class DamagedFile(CheckpointError):
    def __init__(self, path: object, problem: str) -> None:
        self.problem = problem
        super().__init__(
            "A safetensors file is a length, a JSON header and exactly the bytes which that header names.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "It was probably cut short on its way: delete it and fetch it again.",
        )


class UnreadableIndex(CheckpointError):
    def __init__(self, path: object, problem: str) -> None:
        super().__init__(
            "The index of a checkpoint in several files is a JSON object whose weight_map names each tensor's file.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "Copy the folder again from where the model came from.",
        )


class UntiedUnembedding(CheckpointError):
    def __init__(self, path: object) -> None:
        super().__init__(
            "GPT-2 unembeds with its token embeddings.",
            f"{str(path)!r} has a 'lm_head.weight' that differs from 'wte.weight'.",
            "Use a model whose two are tied.",
        )


class MissingTensor(CheckpointError):
    def __init__(self, path: object, name: str) -> None:
        super().__init__(
            "A GPT-2 checkpoint holds every weight that its config.json calls for.",
            f"{str(path)!r} has no {name!r}.",
            "Check that config.json and the weights belong together.",
        )


class MisshapedTensor(CheckpointError):
    def __init__(self, path: object, name: str, shape: Sequence[int], expected: Sequence[int]) -> None:
        super().__init__(
            "Every weight has the shape that config.json calls for.",
            f"{str(path)!r} has {name!r} of shape {tuple(shape)} instead of {tuple(expected)}.",
            "Check that config.json and the weights belong together.",
        )


class MistypedTensor(CheckpointError):
    def __init__(self, path: object, name: str, code: str) -> None:
        super().__init__(
            "Weights are stored as float32, float16, bfloat16 or float64.",
            f"{str(path)!r} has {name!r} as {code}.",
            "Use a checkpoint that is not quantised.",
        )


class UnknownTensor(CheckpointError):
    def __init__(self, path: object, name: str) -> None:
        super().__init__(
            "A GPT-2 checkpoint holds GPT-2's weights and nothing that would change what they compute.",
            f"{str(path)!r} also has {name!r}.",
            "Use a checkpoint of a plain GPT-2 language model.",
        )


# Comparisons ---------------------------------------------------------------------------------------------------------


class ComparisonError(DashappError):
    """What two runs do not have in common."""


class OtherModels(ComparisonError):
    def __init__(self, a: str, b: str) -> None:
        models = f"{a!r} and {b!r}" if a != b else f"two sets of weights called {a!r}"
        super().__init__(
            "Activations fit only into another run of the same model with the same weights.",
            f"Here a and b were computed by {models}.",
            "Choose one model for both prompts and press Generate.",
        )


class OtherPlaces(ComparisonError):
    def __init__(self, n_source: int, n_target: int) -> None:
        super().__init__(
            "A pattern says how much each token looks at each, so it fits only where every token has the same place in "
            "both prompts.",
            f"Here the source has {n_source:,} tokens and the target {n_target:,}, and not all stand for each other.",
            "Patch head outputs, queries, keys or values instead, or make the prompts equally long and leave their "
            "alignment as it is.",
        )


class NoDifference(ComparisonError):
    def __init__(self, axis: str) -> None:
        super().__init__(
            "A difference is taken where a and b show the same places.",
            f"Here they have nothing in common: {axis}.",
            "Look at a and b beside each other.",
        )


class BadPins(ComparisonError):
    def __init__(self, problem: str) -> None:
        super().__init__(
            "Edits of an alignment pair a token of a with a token of b, each once and in the order of both prompts, or "
            "leave a token alone.",
            f"Here {problem.rstrip('.')}.",
            "Choose other tokens, or undo the edits that are in the way.",
        )


class OtherSizes(ComparisonError):
    def __init__(self, what: str, a: int, b: int) -> None:
        super().__init__(
            f"What two models do is compared number by number, so both need the same number of {what}.",
            f"Here the model of a has {a:,} and that of b {b:,}.",
            "Choose one model for both prompts, or two of one size, and press Generate.",
        )


# The store -----------------------------------------------------------------------------------------------------------


class StoreError(DashappError):
    """About files of traces; most heal by computing the trace again."""


class DamagedTrace(StoreError):
    def __init__(self, path: object, problem: str) -> None:
        super().__init__(
            "A trace is checked against its checksums whenever a part of it is read.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "Trace the prompt again.",
        )


class NotATrace(StoreError):
    def __init__(self, path: object, problem: str) -> None:
        super().__init__(
            "A trace file is what `dashapp trace --out FILE` writes.",
            f"{str(path)!r}: {problem.rstrip('.')}.",
            "Write it again with this version of the app.",
        )


class TraceTooLarge(StoreError):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.size_bytes, self.limit_bytes = size_bytes, limit_bytes
        super().__init__(
            "A trace must fit in the cache.",
            f"This one takes {in_megabytes(size_bytes)} and the cache holds at most {in_megabytes(limit_bytes)}.",
            "Raise DASHAPP_CACHE_SIZE, free some disk, or use a shorter prompt or a smaller model.",
        )


class StoreUnavailable(StoreError):
    def __init__(self, folder: object, cause: object) -> None:
        super().__init__(
            "The cache needs a folder that can be written.",
            f"{str(folder)!r} can not: {str(cause).rstrip('.')}.",
            "Free some disk, mend the folder's permissions, or name another in DASHAPP_CACHE_DIR.",
        )


class ObjectStoreUnavailable(StoreUnavailable):
    def __init__(self, url: str, endpoint: str | None, cause: object) -> None:
        where = f"{url!r} at {endpoint}" if endpoint else repr(url)
        DashappError.__init__(
            self,
            "Traces are kept in an object store, which must answer.",
            f"{where} did not, though it was asked several times: {str(cause).rstrip('.')}.",
            "Try again in a moment: nothing that was kept is lost. If this repeats, whoever runs this server should "
            "look at DASHAPP_STORE, DASHAPP_STORE_ENDPOINT, the credentials and the object store itself.",
        )


class UnwritableFile(StoreError):
    def __init__(self, path: object, cause: object) -> None:
        super().__init__(
            "A result is written to a file in a folder that exists and can be written.",
            f"{str(path)!r} cannot be written: {str(cause).rstrip('.')}.",
            "Name another file, mend the folder's permissions, or free some disk.",
        )


class WeightsMissing(StoreError):
    def __init__(self, model: str, fingerprint: str, problem: str) -> None:
        super().__init__(
            "Logits are computed from a trace and the weights it was made with.",
            f"This trace was made with {model!r} (fingerprint {fingerprint[:12]}): {problem.rstrip('.')}.",
            "Load those weights and pass them: Trace.open(file, weights=model.weights).",
        )


class RecipeGone(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(
            "A link to a long prompt carries a key, and the prompt itself stays on the server that made the link.",
            f"This server has nothing under the key {key[:8]!r}.",
            "Open the link on the server that made it, or ask whoever sent it for the prompt.",
        )


class RecipeTooLarge(StoreError):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"A prompt is kept for its link up to {limit_bytes:,} bytes, encoded for an address.",
            f"This one takes {size_bytes:,}.",
            "Shorten it, or pass it on without a link.",
        )


class NotARunFile(StoreError):
    def __init__(self, problem: str) -> None:
        super().__init__(
            'A run is opened from a file that "Download this run" or `dashapp trace --out` has written, unchanged.',
            f"This one was refused: {problem.rstrip('.')}.",
            "Choose another file, or download it again where it was made, with this version of the app.",
        )


class RunFileTooLarge(StoreError):
    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"This server opens files of runs up to {in_megabytes(limit_bytes)}.",
            f"This one has {in_megabytes(size_bytes)}.",
            "Open a shorter run, or raise DASHAPP_LARGEST_FILE, where the server is yours.",
        )


class RunFileOff(StoreError):
    def __init__(self) -> None:
        super().__init__(
            "Whoever runs a server says whether runs can be opened from files.",
            "This one opens none.",
            "Open the file in Python with Trace.open, or set DASHAPP_LARGEST_FILE, where the server is yours.",
        )


class RunFileBroken(StoreError):
    def __init__(self, n_bytes: int, size_bytes: int) -> None:
        super().__init__(
            "A file is opened when all of it has arrived.",
            f"Of this one {in_megabytes(n_bytes)} of {in_megabytes(size_bytes)} came, and nothing of it was kept.",
            "Open it again.",
        )


class RunFileGone(StoreError):
    def __init__(self, key: str) -> None:
        super().__init__(
            "A run from a file is kept on the server that it was opened on, while there is room.",
            f"This server does not have the file {key[:8]!r}.",
            "Open it from the file again, or ask whoever sent the link for it.",
        )


class TooManyRunFiles(StoreError):
    def __init__(self, n_files: int) -> None:
        super().__init__(
            "A server takes in a few files of runs at a time.",
            f"At this moment there are {n_files:,}.",
            "Open yours again in a minute.",
        )


# The door ------------------------------------------------------------------------------------------------------------


class DoorError(DashappError):
    """Addressed to who asks the server for more than it gives, or has not signed in."""


class NotAQuestion(DoorError):
    def __init__(self) -> None:
        super().__init__(
            "A page asks this server about what it shows.",
            "The last question is none that its pages ask.",
            "Reload the page: it may be of an older version of the app.",
        )


class AddressTooLong(DoorError):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"An address of this server has at most {limit_bytes:,} bytes.",
            "This one is longer.",
            "Open the app and paste the prompt there: its Copy link gives an address that is short for any prompt.",
        )


class ShareUsedUp(DoorError):
    def __init__(self, full_s: float, each_minute_s: float, wait_s: float) -> None:
        super().__init__(
            f"Each visitor may use {full_s:,.0f} s of this server's processor at once, and {each_minute_s:,.0f} s more "
            "with each minute.",
            "Yours are used up.",
            f"Wait {max(1, wait_s):,.0f} s, then repeat what you did last.",
        )


class NotSignedIn(DoorError):
    def __init__(self) -> None:
        super().__init__(
            "This server is for those who know its password.",
            "You have not signed in, or no longer are.",
            "Reload the page and type the password.",
        )


class NotSignedInByProxy(DoorError):
    def __init__(self, header: str) -> None:
        super().__init__(
            f"A proxy in front of this server signs people in and names them in the header {header}.",
            "This request has none.",
            "Use the proxy's address, and reload the page if you were signed in before.",
        )


class TooManyPasswords(DoorError):
    def __init__(self, wait_s: float) -> None:
        super().__init__(
            "Only so many wrong passwords are heard from one address.",
            "From yours there were too many.",
            f"Wait {max(1, wait_s):,.0f} s and type it again.",
        )


# Jobs ----------------------------------------------------------------------------------------------------------------


class JobError(DashappError):
    """A job that failed, was lost or took too long."""


class TooManyWaiting(JobError):
    def __init__(self, n_waiting: int) -> None:
        super().__init__(
            f"One visitor may have at most {n_waiting:,} texts waiting at once, so that there is room for others.",
            f"All {n_waiting:,} of yours wait.",
            "Press Stop on some of them, or wait until one has begun, then press Retry.",
        )


class JobRefused(JobError):
    def __init__(self, request_id: str) -> None:
        super().__init__(
            "A job starts when its turn has come.",
            f"Request {request_id[:8]!r} asked for none, or waited too long to begin.",
            "Press Generate again.",
        )


class JobTimedOut(JobError):
    def __init__(self, limit_s: int) -> None:
        super().__init__(
            "A job may take only so long, so that it cannot hold a place for ever.",
            f"This one was ended after {limit_s:,} s.",
            "Try again with fewer new tokens or a shorter prompt, or raise DASHAPP_JOB_TIMEOUT_S.",
        )


class JobOutOfMemory(JobError):
    def __init__(self, limit_bytes: int | None) -> None:
        """limit_bytes: what it might take; None where it was a GPU's memory that did not suffice."""
        rule = "A job may take only so much memory, so that it cannot bring down the server."
        shorter = "Try again with a shorter prompt or a smaller model"
        if limit_bytes is None:
            super().__init__(rule, "This one asked for more than the GPU has free.", f"{shorter}.")
        else:
            asked = f"This one asked for more than {limit_bytes / 1e6:,.0f} MB."
            super().__init__(rule, asked, f"{shorter}, or raise DASHAPP_JOB_MEMORY.")


class JobStopped(JobError):
    def __init__(self) -> None:
        super().__init__(
            "A job that is stopped keeps the tokens that were drawn.",
            "This one was stopped before there was anything to keep.",
            "Press Generate to run it again.",
        )


class JobLost(JobError):
    def __init__(self) -> None:
        super().__init__(
            "A job answers or says why it cannot.",
            "This one ended without a word: its process was killed, or the machine ran out of memory.",
            "Press Retry.",
        )


AGAIN: Final = "Press Generate to compute it again, or, if it came from a file, open that file again."


class TraceGone(JobError):
    def __init__(self) -> None:
        super().__init__(
            "An analysis reads the trace of a prompt from the cache.",
            "That of this prompt is no longer there.",
            AGAIN,
        )


class NotThereYet(JobError):
    def __init__(self, work: str) -> None:
        super().__init__(
            "Numbers that a job computes can be taken away when it has finished.",
            f"Here it has not: {work}.",
            "Begin it at the figure, where it waits for that, and wait until the figure is complete.",
        )


class QueueUnavailable(JobError):
    def __init__(self, cause: object) -> None:
        super().__init__(
            "Web servers and workers speak through Redis, which must answer.",
            f"It did not: {str(cause).rstrip('.')}.",
            "Try again in a moment: what was computed is kept. If this repeats, whoever runs this server should look "
            "at Redis and at DASHAPP_REDIS.",
        )


class NoWorker(JobError):
    def __init__(self) -> None:
        super().__init__(
            "A text is computed by a worker, and at least one must run.",
            "None has said for ten seconds that it does.",
            "Try again in a moment. If this repeats, whoever runs this server should start one: dashapp worker.",
        )


class UnexpectedFailure(JobError):
    def __init__(self, failure_id: str) -> None:
        super().__init__(
            "Something failed that nobody foresaw, and the server's log holds all of it.",
            f"There it has the id {failure_id}.",
            "Try again, and if that repeats, tell whoever runs this server the id.",
        )
