"""How many weights a token is multiplied with: what a forecast costs is counted from the weights.

The sizes in a config.json would not do, since they are no longer true where parts have been cut.
"""

from torch import nn

from tsfm_probe.anatomy import Anatomy


def maps(*modules: nn.Module) -> int:
    """Weights in the matrices of some modules: multiply-adds of one token that goes through.

    Matrices that are looked up and not multiplied with do not count: embeddings.
    """
    looked_up = {
        id(one.weight)
        for module in modules
        for one in module.modules()
        if isinstance(one, nn.Embedding)
    }
    return sum(
        weight.numel()
        for module in modules
        for weight in module.parameters()
        if weight.ndim > 1 and id(weight) not in looked_up
    )


def memory_maps(anatomy: Anatomy) -> int:
    """The same of the keys and values that attentions make of the end of another stack."""
    found = [anatomy[at] for at in anatomy.attentions]
    return sum(
        one.projections[name].linear.weight.numel()
        for one in found
        if one.keys_from
        for name in ("k", "v")
    )
