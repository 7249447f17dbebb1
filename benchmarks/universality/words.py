"""What README.md and the page say in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

from .claims import CLAIMS, FAILS, HOLDS, OPEN, Verdict
from .measured import ALL, FEWEST
from .study import Scale, Study
from .tables import Grid

WIDTH = 100
TITLE = "Are redundancies universal?"
ASKED = (
    "Bao, Vattikuti, Lai and Gilpin (2026, arXiv 2602.01605) find that time-series foundation "
    "models have redundant layers in the middle, that whole layers can be removed, and that heads "
    "are best cut from the lowest stable rank up. Does that hold for the networks below?"
)
CAPTIONS = {
    "layers": "Error without one whole layer, as the ratio to the untouched model, by the depth of "
    "the layer in its stack. Bars: 95 % intervals over configurations (first row) or over the "
    "series of one configuration; they end where the panel ends.",
    "heads": "Error without the first heads of every attention, by the share of heads that is cut. "
    "The band holds the random orders, the dotted line is their geometric mean.",
}
SECTIONS = {
    "words": "Verdicts",
    "layers": "Single layers",
    "blocks": "Blocks of middle layers",
    "orders": "Orders of heads: errors with lowest stable rank first, over those with another",
    "shares": "Orders of heads by how many are cut: MASE",
    "models": "The untouched models",
}


@dataclass(frozen=True)
class Facts:
    """What the sentences are about.

    configurations: their names. levels: see measured.Measured.levels. missing: models of the scale
    whose run is not done. unsteady: by model, by how much another seed alone changes its MASE,
    where that is more than the limit, in percent.
    """

    command: str
    configurations: tuple[str, ...]
    levels: tuple[str, ...]
    missing: tuple[str, ...]
    unsteady: Mapping[str, float]
    study: Study
    scale: Scale


def answer(judged: Sequence[Verdict]) -> tuple[str, ...]:
    """A sentence for all claims together, and one for each, over all families."""
    every = [one for one in judged if not one.model]
    words = [one.word for one in every]
    word = FAILS if FAILS in words else HOLDS if set(words) == {HOLDS} else OPEN
    return (
        f"That redundancies are universal {word} on these networks.",
        *(f"{CLAIMS[one.claim]}: {one.word}. {_families(judged, one.claim)}" for one in every),
    )


def _families(judged: Sequence[Verdict], claim: str) -> str:
    own = [one for one in judged if one.claim == claim and one.model and not one.level]
    parts = []
    for word in dict.fromkeys((HOLDS, FAILS, *(one.word for one in own))):
        names = ", ".join(one.model for one in own if one.word == word)
        parts.append(f"{word} in {names or 'none'}")
    return f"It {'; '.join(parts)}."


def limits(facts: Facts) -> tuple[str, ...]:
    """What the numbers cannot say."""
    count = len(facts.configurations)
    found = [
        f"Only {count} configurations of GIFT-Eval ({', '.join(facts.configurations)}): intervals "
        f"over them are wide, and these scores are not comparable with published ones. Intervals "
        "over the series of one configuration tell of that data set alone.",
        "Random orders: as many as there are seeds; the interval against them is that of these "
        "orders, so that the order is only called worse if it is worse than each.",
        "Cut is zero ablation without any further training.",
    ]
    if any(model.startswith("nano-") for model in facts.scale.models):
        found.insert(
            0,
            "These are networks of one to five million parameters, trained on generated "
            "series. They have little to spare; nothing here confirms or refutes what was "
            "found on published models.",
        )
    for model, change in facts.unsteady.items():
        found.append(
            f"{model} draws so few samples that another seed alone changes its MASE by "
            f"{change:+.1f} % over {ALL}: a change of that size is no evidence there."
        )
    if facts.missing:
        found.append(f"Not run: {', '.join(facts.missing)}.")
    return tuple(found)


def meaning(facts: Facts) -> tuple[tuple[str, str], ...]:
    """What the words in the tables mean."""
    low, high = facts.study.middle
    return (
        (
            "Level",
            f"What intervals are over: {ALL} (GIFT-Eval's score, a geometric mean of their "
            f"errors), or the series of one configuration, where it has {FEWEST} or more.",
        ),
        (
            "Redundant",
            f"The 95 % interval of the error's ratio ends below +{facts.study.limit:g} %, by MASE "
            "and by CRPS. Harmful: it begins above, by one of the two. Else neither is shown. The "
            "rate of false discoveries over all cuts of a model is held at 5 % (Benjamini and "
            "Hochberg 1995).",
        ),
        (
            "Middle",
            f"Depth {low:g} to {high:g}, from the first layer of its stack (0) to the last (1).",
        ),
        (
            "Middle layers hold",
            "More than half of them are shown to be redundant; the claim does not hold if more "
            "than half are shown to be harmful to cut.",
        ),
        (
            "Order holds",
            "Errors with the lowest stable rank first are shown to be lower than with the highest "
            "first and than with each random order, by both metrics; it does not hold if both are "
            "shown to be higher than with the highest first, or than with each random order.",
        ),
        (
            "Verdict of a family",
            f"Does not hold, if it does not at one level; else as it is over {ALL}. A universal "
            "claim does not hold if one family refutes it, and holds if it does in all.",
        ),
    )


def readme(facts: Facts, judged: Sequence[Verdict], grids: Mapping[str, Grid]) -> str:
    """The whole of README.md."""
    about = (
        "with DIR the folder of GIFT-Eval's data. `benchmarks/universal.yaml` says what is cut; "
        "`run.json` in each model's folder with what it was run, `errors.csv` the errors of each "
        "trial; `report.html` is the page; `cuts.csv` has every cut, `ratios.csv` every "
        "comparison, `verdicts.csv` every verdict with its numbers."
    )
    lines = [f"# {TITLE}\n", fill(ASKED, WIDTH), "\nMade, or continued, by\n"]
    lines += [f"```\n{facts.command}\n```\n", fill(about, WIDTH), ""]
    lines += ["## Answer\n", *(f"- **{one}**" for one in answer(judged)), "\nLimits:\n"]
    lines += [f"- {one}" for one in limits(facts)]
    lines += ["\n## By family\n"]
    for one in judged:
        if one.model and not one.level:
            lines.append(f"- {one.model}, {one.claim}: **{one.word}** ({one.reason})")
            lines += [f"  - {level}" for level in _numbers(judged, one)]
    for name, title in SECTIONS.items():
        lines += [f"\n## {title}\n", grids[name].markdown]
        if name in ("layers", "orders"):
            kind = "layers" if name == "layers" else "heads"
            lines += [f"\n![{title}](figures/{kind}-mase.png)\n", CAPTIONS[kind]]
    lines += ["\n## Words\n", *(f"- {name}: {text}" for name, text in meaning(facts))]
    return "\n".join(lines) + "\n"


def _numbers(judged: Sequence[Verdict], whole: Verdict) -> list[str]:
    """The reasons over all configurations, or where the claim is refuted."""
    own = [one for one in judged if (one.model, one.claim) == (whole.model, whole.claim)]
    told = [one for one in own if one.level == ALL or (one.level and one.word == FAILS)]
    return [f"{one.level}: {one.reason}." for one in told]
