"""An address survives printing, has one order, and a pattern finds what it says or nothing."""

import itertools
import random
from dataclasses import FrozenInstanceError

import pytest

from tsfm_probe.address import Address, matching, prefixes, split_patterns
from tsfm_probe.errors import UsageError

STACKS = ("encoder", "decoder")
PARTS = ("self", "cross", "mlp")
WHOLES = [
    Address(stack, layer, part)
    for stack, layer, part in itertools.product(STACKS, range(12), PARTS)
    if (stack, part) != ("encoder", "cross")
]
HEADS = [
    Address(at.stack, at.layer, at.part, head)
    for at in WHOLES
    if at.part != "mlp"
    for head in range(12)
]
EVERY = WHOLES + HEADS


def texts(pattern: str, among: list[Address] = EVERY) -> list[str]:
    return [str(address) for address in matching(pattern, among)]


def test_printing_and_parsing_are_inverse():
    for address in EVERY:
        assert Address.parse(str(address)) == address
        assert hash(Address.parse(f"  {address}\n")) == hash(address)
    assert len({str(address) for address in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "decoder", "decoder.3", "decoder.x.mlp", "decoder.-1.mlp", "decoder.3.", "3.3.mlp",
        "decoder.3.mlp.", "decoder.3.mlp.x", "decoder.3.mlp.1.2", "decoder..mlp", "decoder.3.5",
        "Decoder.3.mlp", "decoder 3 mlp", "decoder.3.mlp\ndecoder.4.mlp", "decoder.3.cross.*",
        "decoder.1.5.mlp", "decoder.٣.mlp", "decoder.²" + ".mlp", f"decoder.{'9' * 5000}.mlp",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match=r"decoder\.3\.cross\.5"):
        Address.parse(text)


def test_order_is_total_and_numeric():
    shuffled = EVERY.copy()
    random.Random(0).shuffle(shuffled)
    ordered = sorted(shuffled)
    assert ordered == sorted(EVERY)
    for one, next_one in itertools.pairwise(ordered):
        assert one < next_one
        assert next_one > one
        assert one != next_one
        assert not next_one <= one
    layers = [at.layer for at in ordered if (at.stack, at.part) == ("decoder", "mlp")]
    assert layers == list(range(12))
    heads = [at.head for at in ordered if at.whole == Address("decoder", 10, "cross")]
    assert heads == [None, *range(12)]


def test_order_with_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        sorted([Address("decoder", 0, "mlp"), "decoder.0.mlp"])  # type: ignore[list-item]


def test_an_address_is_a_value():
    address = Address("decoder", 3, "cross", 5)
    assert address.whole == Address("decoder", 3, "cross")
    assert address.whole.whole == address.whole
    assert address.layer_name == "decoder.3"
    with pytest.raises(FrozenInstanceError):
        address.layer = 4  # type: ignore[misc]


def test_every_address_is_matched_by_its_own_text_with_what_lies_below_it():
    for address in EVERY:
        below = [at for at in EVERY if at == address or at.whole == address]
        assert list(matching(str(address), EVERY)) == below


def expected(stacks: set, layers: set, parts: set, heads: set | None) -> list[str]:
    """What a pattern with these fields must match; heads None is a pattern without that field."""
    return [
        str(at)
        for at in EVERY
        if at.stack in stacks
        and at.layer in layers
        and at.part in parts
        and (heads is None or at.head in heads)
    ]


def test_patterns_match_what_their_fields_say_and_nothing_else():
    everything = {"*": set(range(12)), "?": set(range(10)), "7": {7}, "2-10": set(range(2, 11))}
    numbers = {**everything, "{1,11}": {1, 11}, "{0,3-5}": {0, 3, 4, 5}, "{2, 4}": {2, 4}}
    stacks = {"*": set(STACKS), "decoder": {"decoder"}, "{encoder,decoder}": set(STACKS)}
    parts = {"*": set(PARTS), "{self,cross}": {"self", "cross"}, "*s*": {"self", "cross"}}
    heads = {**numbers, None: None}
    for stack, layer, part, head in itertools.product(stacks, numbers, parts, heads):
        pattern = ".".join(field for field in (stack, layer, part, head) if field is not None)
        wanted = expected(stacks[stack], numbers[layer], parts[part], heads[head])
        assert texts(pattern) == wanted, pattern


def test_several_patterns_are_a_union_in_the_given_order():
    one, other = "decoder.{1, 2}.mlp", "encoder.0.self.3-4"
    union = [str(at) for at in EVERY if str(at) in {*texts(one), *texts(other)}]
    for separator in (",", " ", ", ", "\n", " , ,"):
        assert texts(other + separator + one) == union
        assert texts(one + separator + other + separator + one) == union
    assert texts(one, EVERY[::-1]) == texts(one)[::-1]


def test_splitting_leaves_braces_whole():
    assert split_patterns("a.{1,2}, b.{3, 4}.c d") == ["a.{1,2}", "b.{3, 4}.c", "d"]
    for empty in ("", "  ", ",", " , "):
        with pytest.raises(UsageError, match="empty"):
            split_patterns(empty)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("decodr.3.cross", "decoder.3.cross"),
        ("Decoder.3.cross.5", "decoder.3.cross.5"),
        ("decoder.3.crss.5", "decoder.3.cross.5"),
        ("decoder.3.cross.99", "decoder.3.cross.9"),
        ("encoder.0.cross", "encoder.0"),
        ("decoder.5-2.mlp", "decoder.5.mlp"),
        ("decoder.*.mlp.*", "decoder"),
        ("xyz", "allowed are encoder"),
        ("decoder.3.cross.5.1", "decoder.3.cross.5"),
        ("decoder.{1,2", "decoder.1"),
        ("decoder..mlp", "decoder"),
        (f"decoder.0-{'9' * 5000}.mlp", "decoder"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest_names(pattern, hint):
    with pytest.raises(UsageError) as refused:
        matching(f"decoder.1.mlp {pattern}", EVERY)
    assert pattern.split(",")[0] in str(refused.value)
    assert hint in str(refused.value)


def test_a_model_without_parts_says_so():
    with pytest.raises(UsageError, match="no parts"):
        matching("decoder.0", [])


def test_prefixes_are_every_level_once():
    assert prefixes([Address("decoder", 0, "self", 1), Address("decoder", 0, "mlp")]) == [
        "decoder", "decoder.0", "decoder.0.self", "decoder.0.self.1", "decoder.0.mlp"
    ]  # fmt: skip
