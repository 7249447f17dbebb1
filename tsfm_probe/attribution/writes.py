"""What the parts of a network add to a residual stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from tsfm_probe.address import Address
from tsfm_probe.anatomy import Anatomy
from tsfm_probe.attribution.walk import Glimpse
from tsfm_probe.surgery.record import Record

EMBEDDING, HEAD, MLP, BIAS, LAYER = "embedding", "head", "mlp", "bias", "layer"


@dataclass(frozen=True, eq=False)
class Write:
    """What one part added to a stream: [row, token, d]."""

    kind: str
    address: str
    value: Tensor


def parts_of(anatomy: Anatomy, stack: str) -> tuple[Address, ...]:
    """The attentions and MLPs of one stack."""
    return tuple(at for at in anatomy.parts if at.stack == stack)


def writes(anatomy: Anatomy, stack: str, record: Record, tokens: int = 0) -> Iterator[Write]:
    """Everything that was added to one stream when it last ran: it sums to the final stream.

    record: of the stream, of its attentions (mixed) and MLPs. tokens: the last ones alone; 0: all.
    """
    yield Write(EMBEDDING, f"{stack}.embedding", record.streams[stack, 0][-1][:, -tokens:])
    for at in parts_of(anatomy, stack):
        component = anatomy[at]
        if not component.heads:
            yield Write(MLP, str(at), record.parts[at][-1][:, -tokens:])
            continue
        mixed = record.mixed[at][-1][:, -tokens:]
        for head, share in enumerate(component.shares(mixed)):
            yield Write(HEAD, f"{at}.{head}", share)
        if component.mix is not None and component.mix.bias is not None:
            yield Write(BIAS, f"{at}.bias", component.rest(mixed))


def layers(anatomy: Anatomy, glimpse: Glimpse) -> Iterator[Write]:
    """What each layer of the stack that is read added to its stream."""
    streams: Sequence[Tensor] = glimpse.streams
    for layer, before in enumerate(streams[:-1]):
        yield Write(LAYER, f"{anatomy.reads.name}.{layer}", streams[layer + 1] - before)
