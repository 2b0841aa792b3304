"""Write a tiny GGUF with random weights: a real model to Ollama, though its words mean nothing.

It stands in where no model registry can be reached, and in tests: it loads in well under a second
and answers generate, chat and embed in milliseconds. The same seed gives the same file, so the
image that holds it does not change from build to build.

Usage: tiny.py OUT.gguf
"""

import sys

import numpy as np
from gguf import GGUFWriter, TokenType

WIDTH = 64  # embedding length
HEADS = 4
LAYERS = 2
HIDDEN = 128  # feed-forward length
CONTEXT = 2048  # tokens
WORDS = (
    "the a of and to in is it you that he was for on are with as his they be at one have this from "
    "or had by hot but some what there we can out other were all your when up use word how said an "
    "each she which do their time if will way about many then them would write like so these her "
    "long make thing see him two has look more day could go come did my sound no most number who "
    "over know water than call first people may down side been now find any new work part take get "
    "place made live where after back little only round man year came show every good me give our"
).split()


def tokens() -> tuple[list[str], list[float], list[int]]:
    """Return the SentencePiece vocabulary: texts, scores and kinds, one entry a token."""
    texts = ["<unk>", "<s>", "</s>"]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    texts += [f"<0x{byte:02X}>" for byte in range(256)]
    kinds += [TokenType.BYTE] * 256
    texts += [f"▁{word}" for word in WORDS]
    kinds += [TokenType.NORMAL] * len(WORDS)
    scores = [0.0] * 259 + [-float(rank) for rank in range(len(WORDS))]
    return texts, scores, [int(kind) for kind in kinds]


def main(path: str) -> None:
    """Write the model to ``path``."""
    rng = np.random.default_rng(20250101)
    texts, scores, kinds = tokens()

    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(texts))
    writer.add_file_type(0)  # all F32
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.normal(0.0, 0.2, shape).astype(np.float32)

    output = weights(len(texts), WIDTH)
    output[:259] *= 0.05  # raw bytes and control tokens stay unlikely: the answers are words
    writer.add_tensor("token_embd.weight", weights(len(texts), WIDTH))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", weights(WIDTH, WIDTH))
        writer.add_tensor(f"{block}.ffn_gate.weight", weights(HIDDEN, WIDTH))
        writer.add_tensor(f"{block}.ffn_up.weight", weights(HIDDEN, WIDTH))
        writer.add_tensor(f"{block}.ffn_down.weight", weights(WIDTH, HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
