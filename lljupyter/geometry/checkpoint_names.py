"""Match the names in a checkpoint with those in a model: the same names, or the same after a prefix."""

from __future__ import annotations

import re
from collections.abc import Collection

# What DataParallel and torch.compile put before the names of a model.
WRAPPERS = ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.")
# peft leaves the name of an adapter out of its files: "lora_A.default.weight" is "lora_A.weight" there.
ADAPTER = re.compile(r"(\.lora_(?:A|B|embedding_A|embedding_B|magnitude_vector))\.[^.]+")


def own_names(found: Collection[str]) -> dict[str, str]:
    """Return ``{name in a model: name in the checkpoint}``, without the prefixes of wrappers that all names have."""
    names = {name: name for name in found}
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in found):
            names = {**{name.removeprefix(prefix): name for name in found}, **names}
    return names


def matched_names(wanted: Collection[str], found: Collection[str], label: str) -> dict[str, str]:
    """Match the names of a model with those in a checkpoint.

    One side may have a prefix that the other has not, such as the ``net.`` of a Lightning module, if all of the names
    then match.

    Args:
        wanted: The names in the model.
        found: The names in the checkpoint.
        label: What to call the checkpoint in messages.

    Returns:
        ``{name in the model: name in the checkpoint}``; without entries for ``wanted`` if they do not match.

    Raises:
        ValueError: If the names of the model are there behind several prefixes.
    """
    names = own_names(found)
    if not wanted or not found or all(name in names for name in wanted):
        return names
    adapters = {name: ADAPTER.sub(r"\1", name) for name in wanted if name not in names}
    if all(name in found for name in adapters.values()):
        return {**names, **adapters}
    prefixes = _prefixes(wanted, found)
    if len(prefixes) > 1:
        first, second = prefixes[:2]
        raise ValueError(
            f"expected checkpoint {label} with the names of the model once, got them behind {first!r} and {second!r}; "
            f"pass one of the two: {{name.removeprefix({first!r}): tensor for name, tensor in states.items() "
            f"if name.startswith({first!r})}}"
        )
    if prefixes:
        prefix = prefixes[0]
        return {**names, **{name.removeprefix(prefix): name for name in found if name.startswith(prefix)}}
    if len(prefixes := _prefixes(found_within(wanted, found), wanted)) == 1:
        return {**names, **{prefixes[0] + name: name for name in found}}
    return names


def found_within(wanted: Collection[str], found: Collection[str]) -> list[str]:
    """Return the names in a checkpoint that are suffixes of names in a model, one for each of these; else none."""
    ends = set(found)
    inside = []
    for name in wanted:
        parts = name.split(".")
        end = next((e for k in range(1, len(parts)) if (e := ".".join(parts[k:])) in ends), None)
        if end is None:
            return []
        inside.append(end)
    return inside


def _prefixes(names: Collection[str], longer: Collection[str]) -> list[str]:
    """Return the prefixes behind which all names are among the longer ones."""
    if not names:
        return []
    end, among = max(names, key=len), set(longer)
    prefixes = (name[: -len(end)] for name in longer if name.endswith(f".{end}"))
    return sorted(prefix for prefix in prefixes if all(prefix + name in among for name in names))


def hint_for(name: str, wanted: Collection[str], found: Collection[str]) -> str:
    """Return advice for a name that a checkpoint does not have."""
    behind = [n.removesuffix(name) for n in found if n.endswith(f".{name}")]
    before = [name.removesuffix(n) for n in found if name.endswith(f".{n}")]
    if behind:
        missing = next((n for n in wanted if behind[0] + n not in found), name)
        return (
            f"with the prefix {behind[0]!r} there is one, but none for {missing!r}: use the checkpoints of the same "
            f"model, its names without {behind[0]!r}"
        )
    if before:
        return f"without {before[0]!r} there is one: pass the part of the model that was saved, or add the prefix"
    if any("lora_" in n for n in found) and "lora_" not in name:
        return "it has low-rank adapters alone: pass parameters='lora'"
    return "use the checkpoints of the same model, its state dict itself"
