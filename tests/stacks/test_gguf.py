"""The reader of GGUF headers, on files that the format's own library wrote, and on broken ones."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf as library
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import SettingsError, gguf, models
from stacks.loading import catalogue, parse

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model that the Ollama image brings along."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    subprocess.run([sys.executable, ROOT / "docker/ollama/tiny.py", file], check=True)
    return file


def write(file: Path, **values: Any) -> Path:
    """Write a model of the llama architecture whose shape is as given, or an ordinary one."""
    writer = library.GGUFWriter(file, "llama")
    shape = {
        "block_count": 2,
        "embedding_length": 64,
        "context_length": 128,
        "attention.head_count": 8,
        **values,
    }
    for key, value in shape.items():
        if isinstance(value, list):
            writer.add_array(f"llama.{key}", value)
        elif value is not None:
            writer.add_uint32(f"llama.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_the_models_own_shape_is_read(tiny: Path) -> None:
    model = gguf.read(tiny)
    assert (model.layers, model.heads, model.kv_heads) == (2, 4, 4)
    assert (model.head_size, model.width, model.context) == (16, 64, 2048)
    assert 0.95 * tiny.stat().st_size < model.weights < tiny.stat().st_size


def test_the_published_shape_of_our_own_model_is_the_files(tiny: Path) -> None:
    published, real = models.PUBLISHED["tiny:latest"], gguf.read(tiny)
    assert published.weights >= real.weights
    assert (published.layers, published.kv_heads, published.head_size, published.context) == (
        real.layers,
        real.kv_heads,
        real.head_size,
        real.context,
    )


def test_heads_that_share_keys_and_keys_of_another_size_are_seen(tmp_path: Path) -> None:
    file = write(tmp_path / "m.gguf", **{"attention.head_count_kv": 2, "attention.key_length": 32})
    assert (gguf.read(file).kv_heads, gguf.read(file).head_size) == (2, 32)


def test_the_layer_with_the_most_heads_counts(tmp_path: Path) -> None:
    assert gguf.read(write(tmp_path / "m.gguf", **{"attention.head_count_kv": [1, 4]})).kv_heads == 4


def test_a_file_that_does_not_say_how_deep_it_is_is_refused(tmp_path: Path) -> None:
    with pytest.raises(gguf.GgufError, match=r"^says nothing of llama\.block_count$"):
        gguf.read(write(tmp_path / "m.gguf", block_count=None))


def test_a_part_of_a_model_is_refused(tmp_path: Path) -> None:
    writer = library.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(gguf.GgufError, match="one part of a model that was split"):
        gguf.read(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no GGUF file"),
        (b"GGU", "is no GGUF file"),
        (b"PK\3\4" + bytes(40), "is no GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(16), "is GGUF version 1: versions 2 and 3 are read"),
        (b"GGUF" + struct.pack("<IQ", 3, 0), "ends in the middle of its header"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "ends in the middle of its header"),
        (
            b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99) + bytes(8),
            "holds a value of unknown type 99",
        ),
    ],
)
def test_a_file_that_is_no_model_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(gguf.GgufError, match=f"^{problem}$"):
        gguf.read(file)


@given(length=st.integers(0, 5000))
def test_a_file_that_was_cut_short_never_crashes(tiny: Path, length: int) -> None:
    cut = tiny.with_name("cut.gguf")
    cut.write_bytes(tiny.read_bytes()[:length])
    with pytest.raises(gguf.GgufError):
        gguf.read(cut)


def test_a_named_file_counts_instead_of_what_is_published(tiny: Path) -> None:
    entry = {"model": "llama2:7b", "file": str(tiny)}
    stack = parse({"target": "docker", "models": ["llama2:7b"], "modelFiles": [entry]}, "s")
    assert catalogue(stack)["llama2:7b"] == gguf.read(tiny)
    with pytest.raises(SettingsError, match="llama2:7b: weights"):
        parse({"target": "docker", "models": ["llama2:7b"]}, "s")


def test_a_file_that_vanished_since_is_one_message(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    stack = parse({"target": "docker", "modelFiles": [{"model": "m", "file": str(copy)}]}, "s")
    copy.unlink()
    with pytest.raises(SettingsError, match=r"^modelFiles\.0\.file: .*copy.gguf: No such file or directory$"):
        catalogue(stack)
