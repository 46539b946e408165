"""A tiny model of random weights behind llama.cpp's own OpenAI-compatible server (the package xllamacpp).

serve.py FILE.gguf: writes the model there, serves it on a free port of loopback, prints its address, and ends when
standard input does.
"""

import sys

import gguf
import numpy
import xllamacpp

WIDTH, HIDDEN, LAYERS, HEADS = 32, 64, 2, 2
# Tokens: of what is asked and answered together, and of an answer. It ends by chance long before.
CONTEXT, ANSWER = 32768, 8000


def vocabulary():
    """Single bytes, as SentencePiece falls back to them: whatever is asked can be said with them."""
    kind = gguf.TokenType
    special = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    return special + [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]


def describe(out, tokens):
    out.add_name("tiny-random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(len(tokens))
    out.add_tokenizer_model("llama")
    out.add_token_list([text for text, _ in tokens])
    out.add_token_scores([0.0] * len(tokens))
    out.add_token_types([kind for _, kind in tokens])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")


def write_model(path):
    random = numpy.random.default_rng(7)
    tokens = vocabulary()
    out = gguf.GGUFWriter(path, "llama")
    describe(out, tokens)

    def weights(name, *shape):
        out.add_tensor(name, random.normal(0, 0.1, shape).astype(numpy.float32))

    def ones(name):
        out.add_tensor(name, numpy.ones(WIDTH, numpy.float32))

    weights("token_embd.weight", len(tokens), WIDTH)
    weights("output.weight", len(tokens), WIDTH)
    ones("output_norm.weight")
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm.weight")
        ones(f"{block}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(f"{block}.{part}.weight", WIDTH, WIDTH)
        weights(f"{block}.ffn_gate.weight", HIDDEN, WIDTH)
        weights(f"{block}.ffn_up.weight", HIDDEN, WIDTH)
        weights(f"{block}.ffn_down.weight", WIDTH, HIDDEN)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    path = sys.argv[1]
    write_model(path)
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT
    params.n_predict = ANSWER
    params.n_parallel = 1
    params.warmup = False
    params.sampling.seed = 7
    server = xllamacpp.Server(params)
    print(f"serving on {server.listening_address}", flush=True)
    sys.stdin.read()


main()
