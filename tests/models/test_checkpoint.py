"""A checkpoint is written, reloaded and compared before it is there; what does not hold is refused. The reload is in
this process, for speed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, DynamicCache, Gemma3Config, GenerationConfig

from layercliff.errors import ModelError, RunError
from layercliff.models import checkpoint, reload_check
from layercliff.models.anatomy import dissect
from layercliff.models.loading import load
from layercliff.models.model import Model
from layercliff.models.precision import stored_in
from layercliff.models.reload_check import LogitQuery
from layercliff.models.surgery import cut

PROMPTS = [(5, 77, 130, 9), (240, 31, 18)]
KEPT = (1, 2, 4)

pytestmark = pytest.mark.usefixtures("reloads_here")


def small(family: str = "llama") -> Model:
    network = families.network(family)
    cut(network, KEPT)
    return Model.of(network, families.tokenizer())


def after(monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]) -> None:
    """Damage what was written before it is reloaded."""
    run = checkpoint.subprocess.run

    def damaged(command: list[str], **options: Any) -> object:
        damage(Path(command[5]))
        return run(command, **options)

    monkeypatch.setattr(checkpoint.subprocess, "run", damaged)


def test_an_unexpected_tensor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        tensors["model.layers.3.mlp.up_proj.weight"] = torch.zeros(48, 32)
        save_file(tensors, directory / "model.safetensors", {"format": "pt"})

    after(monkeypatch, add)
    with pytest.raises(ModelError, match=r"1 unexpected keys \(model.layers.3.mlp.up_proj.weight"):
        checkpoint.export(small(), tmp_path / "small", PROMPTS, {})
    assert not (tmp_path / "small").exists()


def test_a_cache_that_goes_wrong_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It forgets the values that it held: without a cache nothing shows."""
    update = DynamicCache.update

    def forgetting(self: DynamicCache, keys: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        all_keys, values = update(self, keys, *arguments, **options)
        values = values.clone()
        values[..., : -keys.shape[-2], :] = 0
        return all_keys, values

    monkeypatch.setattr(DynamicCache, "update", forgetting)
    with pytest.raises(ModelError, match="something else with a cache than without"):
        checkpoint.export(small(), tmp_path / "small", PROMPTS, {})
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(("dtype", "tied"), [("bfloat16", True), ("float32", False)])
def test_a_continuation_may_part_at_a_tie_within_rounding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, tied: bool
) -> None:
    monkeypatch.setattr(reload_check, "cache_divergence", lambda _network, tokens: 0.01 * (len(tokens) == 3))
    network = families.network("llama")
    stored_in(getattr(torch, dtype), network)
    model = Model.of(network, families.tokenizer())
    if not tied:
        with pytest.raises(ModelError, match="something else with a cache"):
            checkpoint.export(model, tmp_path / "small", PROMPTS, {})
        return
    found = checkpoint.export(model, tmp_path / "small", PROMPTS, {})
    assert found.generations_tied == 1


def test_how_clearly_two_continuations_part(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.tensor([4.0, 3.5, -8.0, -torch.inf])
    runs = {False: [(2, scores), (0, scores)], True: [(2, scores), (1, scores)]}
    monkeypatch.setattr(reload_check, "_continued", lambda _network, _tokens, use_cache, _new: runs[use_cache])
    network, tokens = families.network("llama"), torch.tensor([5])
    assert reload_check.cache_divergence(network, tokens) == 0.5 / 8
    runs[True] = runs[False]
    assert reload_check.cache_divergence(network, tokens) == 0


def test_queries_are_answered_by_the_reloaded_checkpoint(tmp_path: Path) -> None:
    model = small()
    asked = [LogitQuery((5, 77, 130), (-1, -1), (7, 9)), LogitQuery((5, 6, 77, 130), (-2, -1), (77, 3))]
    with checkpoint.exporting(model, tmp_path / "small", PROMPTS, asked) as found:
        assert not (tmp_path / "small").exists()
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "small").eval()
    for query, (logits, normalisers) in zip(asked, found.answers, strict=True):
        whole = reloaded(input_ids=torch.tensor([query.tokens])).logits[0].detach()
        for place, target, logit, normaliser in zip(query.positions, query.targets, logits, normalisers, strict=True):
            assert logit == whole[place, target]
            assert normaliser.item() == pytest.approx(whole[place].exp().sum().log().item(), rel=1e-6)


def test_what_the_caller_refuses_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(KeyError), checkpoint.exporting(small(), tmp_path / "small", PROMPTS):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == [".small.lock"]


def test_one_process_at_a_time_writes_a_checkpoint(tmp_path: Path) -> None:
    model = small()
    with checkpoint.exporting(model, tmp_path / "small", PROMPTS) as found:
        checkpoint.write(found.directory, {"README.md": "first"})
        with pytest.raises(RunError, match="Another layercliff process is exporting to"):
            checkpoint.export(model, tmp_path / "small", PROMPTS, {"README.md": "second"})
        assert (tmp_path / ".small.partial" / "README.md").read_text() == "first"
    assert (tmp_path / "small" / "README.md").read_text() == "first"
    with pytest.raises(RunError, match="exists already"):
        checkpoint.export(model, tmp_path / "small", PROMPTS, {})


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".small.partial").mkdir()
    (tmp_path / ".small.partial" / "model-00002-of-00002.safetensors").write_bytes(b"half")
    checkpoint.export(small(), tmp_path / "small", PROMPTS, {})
    assert not (tmp_path / "small" / "model-00002-of-00002.safetensors").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".small.lock", "small"]


def test_the_generation_configuration_comes_along(tmp_path: Path) -> None:
    model = small()
    model.network.generation_config = GenerationConfig(
        do_sample=True, temperature=0.6, top_p=0.9, max_new_tokens=17, bos_token_id=0, eos_token_id=[1, 7], pad_token_id=2
    )  # fmt: skip
    checkpoint.export(model, tmp_path / "small", PROMPTS, {})
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "small").generation_config
    assert again.to_diff_dict() == GenerationConfig.from_pretrained(tmp_path / "small").to_diff_dict()
    for name in ("do_sample", "temperature", "top_p", "max_new_tokens", "bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(again, name) == getattr(model.network.generation_config, name)


def test_a_language_model_inside_a_multimodal_one(tmp_path: Path) -> None:
    """The nested configuration follows; what sees stays as it was."""
    text = families.CONFIGS["gemma3"]().to_dict()
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 8,
        "patch_size": 4,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=400)
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    anatomy, ids = dissect(network), torch.tensor([PROMPTS[0]])
    with torch.inference_mode():
        *_, (_, last) = anatomy.enter(ids).depths(KEPT)
        wanted = anatomy.unembedding.vocabulary_logits(anatomy.unembedding.normed(last[0]), 0, families.VOCABULARY)
    cut(network, KEPT)
    checkpoint.export(Model.of(network, families.tokenizer()), tmp_path / "small", PROMPTS, {})
    written = json.loads((tmp_path / "small" / "config.json").read_text())
    assert written["text_config"]["num_hidden_layers"] == 3
    assert written["text_config"]["layer_types"] == ["sliding_attention", "full_attention", "full_attention"]
    assert written["vision_config"]["num_hidden_layers"] == 2
    reloaded = load(str(tmp_path / "small"), device="cpu")
    assert reloaded.n_layers == 3
    with torch.inference_mode():
        torch.testing.assert_close(reloaded.network(input_ids=ids).logits[0], wanted, rtol=1e-4, atol=1e-5)


OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM


class OwnConfig(LlamaConfig):
    model_type = "layercliff_own"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_a_model_that_brings_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fresh process runs it only when it is trusted."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    families.saved(tmp_path / "dense")
    (tmp_path / "dense" / "modeling_own.py").write_text(OWN_CODE)
    file = tmp_path / "dense" / "config.json"
    config = json.loads(file.read_text())
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    file.write_text(
        json.dumps(config | {"model_type": "layercliff_own", "auto_map": own, "architectures": ["OwnForCausalLM"]})
    )
    with pytest.raises(ModelError, match="--trust-remote-code"):
        load(str(tmp_path / "dense"), device="cpu")
    model = load(str(tmp_path / "dense"), device="cpu", trust_remote_code=True)
    cut(model.network, KEPT)
    with pytest.raises(ModelError, match="could not be loaded again"):
        checkpoint.export(model, tmp_path / "small", PROMPTS, {})
    assert checkpoint.export(model, tmp_path / "small", PROMPTS, {}, True).largest_logit_difference == 0
    assert (tmp_path / "small" / "modeling_own.py").exists()


def test_it_is_a_process_of_its_own(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests run here is asked of another Python, with the same threads, and may not run foreign code."""
    commands: list[list[str]] = []

    def failing(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "one\nOSError: no such thing\n")

    monkeypatch.setattr(checkpoint.subprocess, "run", failing)
    with pytest.raises(ModelError, match=r"fresh process \(OSError: no such thing\): nothing was exported"):
        checkpoint.export(tiny, tmp_path / "small", PROMPTS, {})
    assert commands[0][1:3] == ["-P", "-c"]
    assert commands[0][8:] == [str(torch.get_num_threads()), "0", "float32"]


def test_code_of_the_current_directory_is_not_run(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named like a module that torch imports lies beside the model. The child finds layercliff where this
    process has it."""
    monkeypatch.setattr(checkpoint, "subprocess", subprocess)
    for name in ("typing_extensions", "safetensors", "jaxtyping"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(Path(checkpoint.__file__).parents[2]))
    assert checkpoint.export(tiny, tmp_path / "small", PROMPTS, {}).tensors == 48
    assert not (tmp_path / "ran").exists()


def test_layercliff_is_found_where_the_path_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable installation may import it by other means than the path; where it lies is searched last."""
    root = str(Path(checkpoint.__file__).resolve().parents[2])
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])
    assert checkpoint._search() == ["/somewhere", root]
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", [root, "/somewhere"])
    assert checkpoint._search() == ["/somewhere", root]


def test_an_altered_tensor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit of one number, which no logit shows."""

    def alter(directory: Path) -> None:
        tensors = load_file(directory / "model.safetensors")
        tensors["model.embed_tokens.weight"][419, 0] = torch.nextafter(
            tensors["model.embed_tokens.weight"][419, 0], torch.tensor(torch.inf)
        )
        save_file(tensors, directory / "model.safetensors", {"format": "pt"})

    after(monkeypatch, alter)
    with pytest.raises(ModelError, match=r"1 altered tensors \(model.embed_tokens.weight"):
        checkpoint.export(small(), tmp_path / "small", PROMPTS, {})


@pytest.mark.parametrize(("noise", "refused"), [(0.0, False), (1e-6, False), (1e-3, True)])
def test_logits_may_differ_by_what_copies_differ_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: float, refused: bool
) -> None:
    """Every run of a network gives its logits a little otherwise; the fresh process by more than that is refused."""
    own, ask, runs = reload_check.logits, checkpoint._ask, iter(range(10**6))
    wobble = min(noise, 1e-6)
    monkeypatch.setattr(reload_check, "logits", lambda *arguments: own(*arguments) + wobble * (next(runs) % 2))

    def otherwise(*arguments: Any) -> Any:
        found, said = ask(*arguments)
        found["logits.00000"] += noise
        return found, said

    monkeypatch.setattr(checkpoint, "_ask", otherwise)
    if refused:
        with pytest.raises(
            ModelError, match=r"differ by 1.0e-03 from the pruned model's, of which two copies differ by \d"
        ):
            checkpoint.export(small(), tmp_path / "small", PROMPTS, {})
        return
    found = checkpoint.export(small(), tmp_path / "small", PROMPTS, {})
    assert found.largest_logit_difference <= 2 * found.noise_floor
    assert (found.noise_floor > 0) == (noise > 0) or noise == 0


@pytest.mark.parametrize("offset", [0, 1, 5])
@torch.inference_mode()
def test_a_copy_elsewhere_computes_the_same(family: str, offset: int) -> None:
    """The weights that modules run with are not those that lie in the network, and come back."""
    network, tokens = families.network(family), torch.tensor(PROMPTS[0])
    before = {name: parameter.data_ptr() for name, parameter in network.named_parameters()}
    own = reload_check.logits(network, tokens)
    with reload_check.copied(network, offset):
        torch.testing.assert_close(reload_check.logits(network, tokens), own, rtol=1e-5, atol=1e-5)
    assert {name: parameter.data_ptr() for name, parameter in network.named_parameters()} == before


def test_weights_that_were_unpacked_are_written_as_they_are(tmp_path: Path) -> None:
    """FP8 weights with a scale for each: no file of the old format comes back, and what is written is what was read."""
    families.saved(tmp_path / "dense")
    tensors = load_file(tmp_path / "dense" / "model.safetensors")
    for name in [name for name, tensor in tensors.items() if tensor.ndim == 2 and "layers" in name]:
        size = tensors[name].abs().max() / 448
        tensors[name] = (tensors[name] / size).to(torch.float8_e4m3fn)
        tensors[name.replace(".weight", ".weight_scale_inv")] = size.reshape(1, 1)
    save_file(tensors, tmp_path / "dense" / "model.safetensors", {"format": "pt"})
    file = tmp_path / "dense" / "config.json"
    packed = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [64, 64]}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"quantization_config": packed}))
    model = load(str(tmp_path / "dense"), device="cpu")
    cut(model.network, KEPT)
    small = Model.of(model.network, model.tokenizer)
    assert checkpoint.export(small, tmp_path / "small", PROMPTS, {}).largest_logit_difference == 0
    written = load_file(tmp_path / "small" / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {torch.float32}
    assert "quantization_config" not in json.loads((tmp_path / "small" / "config.json").read_text())
