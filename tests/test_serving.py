"""Exported checkpoints in other runtimes, started by the commands of the export guide, give the log-probabilities of
transformers.

LAYERCLIFF_VLLM is a `vllm`; LAYERCLIFF_LLAMA_CPP a directory with llama.cpp's ``convert_hf_to_gguf.py`` (its
repository, or ``vendor/llama.cpp`` of the source of llama-cpp-python), and xllamacpp, which is llama.cpp as a library,
is installed beside layercliff. Without them these tests skip themselves. What was found is printed.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import documented
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import layercliff
from layercliff.models import llama_cpp
from layercliff.models.surgery import cut

VLLM = os.environ.get("LAYERCLIFF_VLLM", "")
LLAMA_CPP = os.environ.get("LAYERCLIFF_LLAMA_CPP", "")
PAGE = documented.ROOT / "docs" / "how-to" / "export.md"
PROMPTS = (
    "Question: What is the capital of France?\nAnswer:",
    "The weather today is",
    "Water boils at 100 degrees and freezes at",
)
TOP = 10
STARTS = 600  # seconds that vLLM has to compile
CASES = [
    ("smollm2-135m", (14, 16, 17), True),
    ("gemma-3-270m", (16, 17), True),
    ("gemma-3-270m", (11,), False),  # of each six blocks the last attends to everything: from here on it does not
]
Answer = Callable[[list[int]], dict[int, float]]
"""From a prompt's tokens, the likeliest next tokens and their log-probabilities."""

pytestmark = [pytest.mark.slow, pytest.mark.packaged]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{len(case[1])}")
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """A cut checkpoint in `small`, said; and whether its blocks' kinds are in place, which `--recipe` must say too."""
    name, gone, in_place = request.param
    monkeypatch.chdir(tmp_path)
    model = layercliff.load(name)
    kept = [block for block in range(model.n_layers) if block not in gone]
    assert (llama_cpp.recipe(model.network.config, name, kept).text is not None) is in_place
    cut(model.network, kept)
    model.network.save_pretrained("small")
    model.tokenizer.save_pretrained("small")
    return f"{name} without {', '.join(map(str, gone))}", in_place


def command(program: str) -> list[str]:
    """The only command of a program in the guide."""
    (found,) = [asked for asked in documented.commands(PAGE) if asked[0] == program]
    return found


def difference(answer: Answer) -> float:
    """The largest of a runtime's log-probabilities to those of transformers, in nats."""
    tokenizer = AutoTokenizer.from_pretrained("small")
    network = AutoModelForCausalLM.from_pretrained("small", dtype=torch.float32).eval()
    largest = 0.0
    for prompt in PROMPTS:
        tokens = tokenizer(prompt)["input_ids"]
        with torch.no_grad():
            expected = network(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
        found = answer(tokens)
        assert len(found) == TOP
        largest = max(largest, *(abs(value - float(expected[token])) for token, value in found.items()))
    return largest


@pytest.mark.skipif(not LLAMA_CPP, reason="LAYERCLIFF_LLAMA_CPP names no directory with convert_hf_to_gguf.py")
def test_llama_cpp(case: tuple[str, bool]) -> None:
    runtime = pytest.importorskip("xllamacpp")
    said, in_place = case
    _, script, *arguments = command("python")
    converting = [sys.executable, str(Path(LLAMA_CPP) / script), *arguments, "--outtype", "f32"]
    subprocess.run(converting, check=True, capture_output=True)
    given = runtime.CommonParams()
    given.model.path, given.n_ctx, given.n_parallel, given.warmup = "small.gguf", 256, 1, False
    server = runtime.Server(given)

    def answer(tokens: list[int]) -> dict[int, float]:
        asked = {"prompt": tokens, "n_predict": 1, "n_probs": TOP, "temperature": 0, "cache_prompt": False}
        (choice,) = server.handle_completions(asked)["choices"]
        (position,) = choice["logprobs"]["content"]
        return {one["id"]: one["logprob"] for one in position["top_logprobs"]}

    found = difference(answer)
    print(f"llama.cpp, {said}: {found:.2g} nats")  # noqa: T201
    assert (found < 0.02) is in_place  # its cache is float16


@contextmanager
def served() -> Iterator[str]:
    """The address of vLLM, serving `small` while this lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    asked = [VLLM, *command("vllm")[1:], "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    around = {"PATH": f"{Path(VLLM).parent}{os.pathsep}{os.environ['PATH']}", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with Path("vllm.log").open("w") as log:
        process = subprocess.Popen(asked, stdout=log, stderr=log, env={**os.environ, **around, "HF_HUB_OFFLINE": "1"})
    try:
        begin = time.monotonic()
        while True:
            try:
                urlopen(f"{address}/health").close()
                break
            except URLError:
                assert process.poll() is None, Path("vllm.log").read_text()[-3000:]
                assert time.monotonic() - begin < STARTS
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.mark.skipif(not VLLM, reason="LAYERCLIFF_VLLM names no vllm")
def test_vllm(case: tuple[str, bool]) -> None:
    said, _ = case
    with served() as address:

        def answer(tokens: list[int]) -> dict[int, float]:
            asked = {"model": "small", "prompt": tokens, "max_tokens": 1, "temperature": 0, "logprobs": TOP}
            body = json.dumps(asked | {"return_tokens_as_token_ids": True}).encode()
            with urlopen(Request(f"{address}/v1/completions", body, {"Content-Type": "application/json"})) as got:
                (choice,) = json.load(got)["choices"]
            top = choice["logprobs"]["top_logprobs"][0]
            return {int(name.removeprefix("token_id:")): value for name, value in top.items()}

        found = difference(answer)
    print(f"vLLM, {said}: {found:.2g} nats")  # noqa: T201
    assert found < 1e-3
