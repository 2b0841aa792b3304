"""How much memory models take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import models

shapes = st.builds(
    models.Model,
    weights=st.integers(1, 10**11),
    layers=st.integers(1, 128),
    heads=st.integers(1, 128),
    kv_heads=st.integers(1, 128),
    head_size=st.integers(1, 512),
    width=st.integers(1, 16_384),
    context=st.integers(256, 1_048_576),
)
contexts = st.integers(256, 1_048_576)
parallels = st.integers(1, 64)


@pytest.mark.parametrize(
    ("name", "kibibytes_a_token"),
    [("llama2:7b", 512), ("mistral:7b", 128), ("llama3.1:70b", 320), ("qwen2.5:7b", 56), ("llama3.2:1b", 32)],
)
def test_the_cache_of_a_token_is_as_known(name: str, kibibytes_a_token: int) -> None:
    assert models.PUBLISHED[name].cache_mib(4096, 2) == 2 * 4096 * kibibytes_a_token // 1024


def test_a_model_gets_no_more_context_than_it_was_trained_for() -> None:
    llama2 = models.PUBLISHED["llama2:7b"]
    assert llama2.loaded_mib(1_000_000, 4) == llama2.loaded_mib(4096, 4)


@given(model=shapes, context=contexts, parallel=parallels)
def test_more_context_and_more_requests_never_take_less(
    model: models.Model, context: int, parallel: int
) -> None:
    one = model.loaded_mib(context, parallel)
    assert one >= model.weights_mib
    assert model.loaded_mib(context + 1, parallel) >= one
    assert model.loaded_mib(context, parallel + 1) > one


@given(model=shapes, context=contexts, parallel=parallels)
def test_requests_do_not_share_a_cache(model: models.Model, context: int, parallel: int) -> None:
    assert abs(model.cache_mib(context, parallel) - parallel * model.cache_mib(context, 1)) <= parallel


@pytest.mark.parametrize("name", sorted(models.PUBLISHED))
def test_a_published_shape_hangs_together(name: str) -> None:
    model = models.PUBLISHED[name]
    assert model.heads % model.kv_heads == 0, "each key and value serves the same number of heads"
    parameters = model.layers * model.width**2
    assert 0.2 < model.weights / parameters / 12 < 12, "weights are out of proportion to depth and width"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mistral", "mistral:7b"),
        ("mistral:latest", "mistral:7b"),
        ("mistral:7b", "mistral:7b"),
        ("llama3.2", "llama3.2:3b"),
        ("tiny", "tiny:latest"),
    ],
)
def test_a_name_means_what_it_means_to_ollama(name: str, meant: str) -> None:
    assert models.find(models.PUBLISHED, name) is models.PUBLISHED[meant]


@pytest.mark.parametrize("name", ["mistral:7b-instruct-q8_0", "our-own", "our-own:7b"])
def test_another_quantisation_is_another_model(name: str) -> None:
    assert models.find(models.PUBLISHED, name) is None


def test_every_default_tag_is_published() -> None:
    assert {f"{family}:{tag}" for family, tag in models.DEFAULT_TAGS.items()} <= models.PUBLISHED.keys()
