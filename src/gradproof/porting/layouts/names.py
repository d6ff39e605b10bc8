"""What paths of parameters say: which module, which role, and how alike two of them are."""

__all__ = ["ROLES", "alike", "concepts", "gate", "numbers", "place", "role", "tokens"]

import re
from difflib import SequenceMatcher
from functools import lru_cache

_ROLES = {
    "weight": ("weight", "weights", "kernel", "w", "scale", "gamma", "embedding", "g", "wte", "wpe", "table"),
    "bias": ("bias", "biases", "b", "beta", "offset"),
    "mean": ("mean", "avg", "average", "mu"),
    "var": ("var", "variance", "sigma2"),
}
"""Last words of a path, by what they mean; "running_var" and "moving_variance" end in them."""

ROLES = frozenset(_ROLES)
"""Of leaves; one never comes from another."""

_CONCEPTS = {
    "q": ("q", "query", "queries", "wq"),
    "k": ("k", "key", "keys", "wk"),
    "v": ("v", "value", "values", "wv"),
    "o": ("o", "out", "output", "wo"),
    "qkv": ("in", "qkv", "kqv", "attn"),
    "i": ("ih", "i", "input", "x", "xh", "wx"),
    "h": ("hh", "hidden", "recurrent", "h", "wh"),
    "reverse": ("reverse", "backward", "bwd"),
}
"""Words that tell leaves of one module apart."""

_GATES = {"ii": "i", "if": "i", "ig": "i", "io": "i", "ir": "i", "iz": "i", "in": "i", "hi": "h", "hf": "h", "hg": "h",
          "ho": "h", "hr": "h", "hz": "h", "hn": "h"}  # fmt: skip
"""A gate of its own: the input's part or the hidden state's."""

_ORDERS = ("qkv", "ifgo", "rzn")
"""Of blocks in fused leaves, as PyTorch has them."""

_FILLERS = {
    "params",
    "batch_stats",
    "raw_value",
    "proj",
    "projection",
    "linear",
    "cell",
    "layer",
    "module",
    "l0",
}
_ROLE_OF = {word: meaning for meaning, words in _ROLES.items() for word in words}
_CONCEPT_OF = {word: meaning for meaning, words in _CONCEPTS.items() for word in words}


@lru_cache(maxsize=2**16)
def tokens(path: str) -> tuple[str, ...]:
    """Words of a path in lower case: "layers[0].in_proj_weight" is layers, 0, in, proj, weight."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1_\2", path)
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", apart.lower()) if word)


def place(path: str) -> str:
    """The module a leaf belongs to: all of its path but the last name; "" at the top."""
    cut = max(path.rfind("."), path.rfind("["), path.rfind("/"))
    return path[: max(cut, 0)]


@lru_cache(maxsize=2**16)
def role(path: str) -> str:
    """ "weight", "bias", "mean", "var", or the last word itself."""
    words = [word for word in tokens(path) if word not in _FILLERS]
    for word in reversed(words):
        plain = re.sub(r"\d+$", "", word) or word
        if plain in _ROLE_OF:
            return _ROLE_OF[plain]
    return words[-1] if words else ""


@lru_cache(maxsize=2**16)
def concepts(path: str) -> frozenset[str]:
    """Which of the leaves of one module: {"q"} of "attention.query.kernel", {"i"} of "weight_ih_l0"."""
    words = [word for word in tokens(path)[-4:] if word not in _FILLERS]
    found = {_CONCEPT_OF[word] for word in words if word in _CONCEPT_OF}
    gates = {_GATES[word] for word in words if word in _GATES}
    return frozenset(found | gates)


def gate(path: str) -> int | None:
    """Which block of a fused leaf this one is, if its name says so: i, f, g, o; r, z, n; q, k, v."""
    words = tokens(path)[-3:]
    for word in reversed(words):
        if word in _GATES:
            return next(order.index(word[-1]) for order in _ORDERS if word[-1] in order)
    letters = [_CONCEPT_OF[word] for word in reversed(words) if _CONCEPT_OF.get(word) in tuple("qkv")]
    return "qkv".index(letters[0]) if letters else None


def numbers(path: str) -> tuple[int, ...]:
    """Numbers in a path: (0, 2) of "layers[0].norm2.weight"."""
    return tuple(int(digits) for digits in re.findall(r"\d+", path))


@lru_cache(maxsize=2**18)
def alike(ours: str, theirs: str) -> float:
    """How alike two paths are, from 0 to 3: role, numbers, concepts, letters."""
    same_role = 1.0 if role(ours) == role(theirs) else 0.0
    mine, other = concepts(ours), concepts(theirs)
    shared = len(mine & other) / max(len(mine | other), 1)
    letters = SequenceMatcher(None, " ".join(tokens(ours)), " ".join(tokens(theirs)), autojunk=False).ratio()
    return same_role + 0.5 * shared + 0.5 * (numbers(ours) == numbers(theirs)) + letters
