"""How much memory a model takes: its weights, its KV cache, and what a computation needs beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
GIGABYTE = 1000**3
CACHE_BYTES = 2
"""A number in the KV cache: 16 bits (OLLAMA_KV_CACHE_TYPE f16, the default)."""
BATCH = 512
"""Tokens of a prompt that Ollama computes at a time (num_batch)."""
RUNNER_MIB = 500
"""What a loaded model takes on a GPU beside its own data: CUDA's context and libraries."""


@dataclass(frozen=True)
class Model:
    """What of a model decides how much memory it takes."""

    weights: int
    """Bytes."""
    layers: int
    heads: int
    kv_heads: int
    """Heads that share a key and a value; fewer than ``heads`` with grouped attention."""
    head_size: int
    """Numbers in one key or value."""
    width: int
    """Embedding length."""
    context: int
    """Tokens that it was trained for. Ollama gives it no more, whatever is asked for."""

    @property
    def weights_mib(self) -> int:
        """The weights, MiB."""
        return -(-self.weights // MEBIBYTE)

    def cache_mib(self, context: int, parallel: int) -> int:
        """Return the KV cache of ``parallel`` requests of ``context`` tokens, MiB."""
        token = 2 * self.layers * self.kv_heads * self.head_size * CACHE_BYTES
        return -(-token * min(context, self.context) * parallel // MEBIBYTE)

    def graph_mib(self, context: int, parallel: int) -> int:
        """Return what one step of computing takes, MiB: Ollama's own estimate without flash attention.

        The estimate of the llama architecture serves for all: with flash attention every model takes less.
        """
        tokens = min(context, self.context) * parallel
        return -(-4 * BATCH * (1 + 4 * self.width + tokens * (1 + self.heads)) // MEBIBYTE)

    def loaded_mib(self, context: int, parallel: int) -> int:
        """Return what the loaded model takes in all, MiB."""
        return self.weights_mib + self.cache_mib(context, parallel) + self.graph_mib(context, parallel)


Catalogue = Mapping[str, Model]
"""Model's Ollama name → what is known of it."""


def _published(
    gigabytes: float, layers: int, heads: int, kv_heads: int, head_size: int, width: int, context: int
) -> Model:
    return Model(int(gigabytes * GIGABYTE), layers, heads, kv_heads, head_size, width, context)


PUBLISHED: Catalogue = {
    "all-minilm:22m": _published(0.046, 6, 12, 12, 32, 384, 512),
    "codellama:7b": _published(3.8, 32, 32, 32, 128, 4096, 16_384),
    "codellama:13b": _published(7.4, 40, 40, 40, 128, 5120, 16_384),
    "codellama:34b": _published(19, 48, 64, 8, 128, 8192, 16_384),
    "deepseek-r1:1.5b": _published(1.1, 28, 12, 2, 128, 1536, 131_072),
    "deepseek-r1:7b": _published(4.7, 28, 28, 4, 128, 3584, 131_072),
    "deepseek-r1:8b": _published(5.2, 36, 32, 8, 128, 4096, 131_072),
    "deepseek-r1:14b": _published(9.0, 48, 40, 8, 128, 5120, 131_072),
    "deepseek-r1:32b": _published(20, 64, 40, 8, 128, 5120, 131_072),
    "deepseek-r1:70b": _published(43, 80, 64, 8, 128, 8192, 131_072),
    "gemma2:9b": _published(5.4, 42, 16, 8, 256, 3584, 8192),
    "llama2:7b": _published(3.8, 32, 32, 32, 128, 4096, 4096),
    "llama2:13b": _published(7.4, 40, 40, 40, 128, 5120, 4096),
    "llama2:70b": _published(39, 80, 64, 8, 128, 8192, 4096),
    "llama3:8b": _published(4.7, 32, 32, 8, 128, 4096, 8192),
    "llama3:70b": _published(40, 80, 64, 8, 128, 8192, 8192),
    "llama3.1:8b": _published(4.9, 32, 32, 8, 128, 4096, 131_072),
    "llama3.1:70b": _published(43, 80, 64, 8, 128, 8192, 131_072),
    "llama3.2:1b": _published(1.3, 16, 32, 8, 64, 2048, 131_072),
    "llama3.2:3b": _published(2.0, 28, 24, 8, 128, 3072, 131_072),
    "llama3.3:70b": _published(43, 80, 64, 8, 128, 8192, 131_072),
    "mistral:7b": _published(4.4, 32, 32, 8, 128, 4096, 32_768),
    "mixtral:8x7b": _published(26, 32, 32, 8, 128, 4096, 32_768),
    "mxbai-embed-large:335m": _published(0.67, 24, 16, 16, 64, 1024, 512),
    "nomic-embed-text:v1.5": _published(0.274, 12, 12, 12, 64, 768, 2048),
    "phi4:14b": _published(9.1, 40, 40, 10, 128, 5120, 16_384),
    "qwen2.5:0.5b": _published(0.398, 24, 14, 2, 64, 896, 32_768),
    "qwen2.5:1.5b": _published(0.986, 28, 12, 2, 128, 1536, 32_768),
    "qwen2.5:3b": _published(1.9, 36, 16, 2, 128, 2048, 32_768),
    "qwen2.5:7b": _published(4.7, 28, 28, 4, 128, 3584, 32_768),
    "qwen2.5:14b": _published(9.0, 48, 40, 8, 128, 5120, 32_768),
    "qwen2.5:32b": _published(20, 64, 40, 8, 128, 5120, 32_768),
    "qwen2.5:72b": _published(47, 80, 64, 8, 128, 8192, 32_768),
    "qwen2.5-coder:7b": _published(4.7, 28, 28, 4, 128, 3584, 32_768),
    "qwen2.5-coder:32b": _published(20, 64, 40, 8, 128, 5120, 32_768),
    "qwen3:0.6b": _published(0.523, 28, 16, 8, 128, 1024, 40_960),
    "qwen3:1.7b": _published(1.4, 28, 16, 8, 128, 2048, 40_960),
    "qwen3:4b": _published(2.5, 36, 32, 8, 128, 2560, 262_144),
    "qwen3:8b": _published(5.2, 36, 32, 8, 128, 4096, 40_960),
    "qwen3:14b": _published(9.3, 40, 40, 8, 128, 5120, 40_960),
    "qwen3:32b": _published(20, 64, 64, 8, 128, 5120, 40_960),
    "smollm2:135m": _published(0.271, 30, 9, 3, 64, 576, 8192),
    "smollm2:360m": _published(0.726, 32, 15, 5, 64, 960, 8192),
    "smollm2:1.7b": _published(1.8, 24, 32, 32, 64, 2048, 8192),
    "tiny:latest": _published(0.0006, 2, 4, 4, 16, 64, 2048),
}
"""Usual models in Ollama's default quantisation. Estimates, but for ``tiny``, which is our own
(docker/ollama/tiny.py): written down in July 2026, sizes as Ollama's library rounds them, shapes as their
makers publish them, and compared with no file; ``modelFiles`` reads a file's own header. Models with sliding
windows or compressed caches (gemma3, gpt-oss, deepseek-v3) are not here: their file says more than a formula,
and still counts as if every layer saw the whole context."""

DEFAULT_TAGS = {
    "all-minilm": "22m",
    "codellama": "7b",
    "deepseek-r1": "8b",
    "gemma2": "9b",
    "llama2": "7b",
    "llama3": "8b",
    "llama3.1": "8b",
    "llama3.2": "3b",
    "llama3.3": "70b",
    "mistral": "7b",
    "mixtral": "8x7b",
    "mxbai-embed-large": "335m",
    "nomic-embed-text": "v1.5",
    "phi4": "14b",
    "qwen2.5": "7b",
    "qwen2.5-coder": "7b",
    "qwen3": "8b",
    "smollm2": "1.7b",
}
"""What a name without a tag, or with ``latest``, means in Ollama's library."""


def listed_as(name: str) -> str:
    """Return the name under which Ollama lists the model called ``name``: in small letters, with its tag."""
    name = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def find(catalogue: Catalogue, name: str) -> Model | None:
    """Return what is known of the model called ``name``, with or without a tag."""
    family, _, tag = name.partition(":")
    given = catalogue.get(name) or catalogue.get(f"{family}:{tag or 'latest'}")
    if given or (tag and tag != "latest"):
        return given
    return catalogue.get(f"{family}:{DEFAULT_TAGS.get(family)}")
