"""`tsfm-probe score`: what the weights alone say of every head, as a table, a page and an order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsfm_probe.commands.origin import made_by, short_hash, weights_of
from tsfm_probe.commands.tables import keep
from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.durable import write_atomically
from tsfm_probe.errors import UsageError
from tsfm_probe.models import load
from tsfm_probe.models.base import Model
from tsfm_probe.report.score_page import write as write_page
from tsfm_probe.run_folder import RunRecord
from tsfm_probe.scores.matrices import matrices
from tsfm_probe.scores.weights import COMPARED, LAGS, METHODS, check, scored, spectrum

USUAL = {
    "plain": (*COMPARED, "ov-copying"),
    "folded": (*COMPARED, "ov-copying"),
    "rotary": COMPARED,
}
EACH_END = 10
MOST = 6  # scores that fit on a terminal


@dataclass(frozen=True)
class Request:
    """One call of the command.

    model, device: see models.load. methods: of scores.METHODS. variant: of scores.VARIANTS.
    lags: in tokens, for "rotary". out: the run folder, None to choose.
    """

    model: str
    device: str
    methods: tuple[str, ...]
    variant: str
    lags: tuple[float, ...]
    out: Path | None

    @classmethod
    def parsed(
        cls, model: str, device: str, method: str, variant: str, lags: str, out: Path | None
    ) -> "Request":
        """From the words of the command line; UsageError for what is not allowed."""
        if lags and variant != "rotary":
            raise UsageError(
                f"--lags {lags!r} were given",
                f"--variant is {variant}",
                "--variant rotary has lags",
            )
        words = [one.strip() for one in method.split(",") if one.strip()]
        names = METHODS if words == ["all"] else tuple(dict.fromkeys(words))
        names = names or USUAL.get(variant, COMPARED)
        asked = cls(model, device, names, variant, _numbers(lags), out)
        check(asked.methods, variant, asked.lags)
        return asked


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(dict.fromkeys(float(one) for one in text.split(",") if one.strip()))
    except ValueError as error:
        words = "allowed are numbers of tokens, such as 0,1,16"
        raise UsageError(f"--lags {text!r}", str(error), words) from error
    return found or LAGS


def execute(asked: Request, terminal: Terminal) -> None:
    """Score, draw, and tell where everything is."""
    terminal.say(f"loading {asked.model}")
    model = load(asked.model, asked.device, "float32")
    same = _identity(model, asked)
    folder = asked.out or Path("runs") / f"{Path(asked.model).name}-scores-{short_hash(same)}"
    about = same | made_by(model)
    RunRecord.of(folder, same)
    terminal.say(f"scoring {len(model.anatomy.heads)} heads")
    table = scored(model, asked.methods, asked.variant, asked.lags)
    single, lines = matrices(model), spectrum(model, asked.variant, asked.lags[0])
    order, words = _order(table), _summary(table)
    terminal.say("drawing the page")
    record = RunRecord.begun(folder, same, about).noted(folder)
    page = write_page(folder, about, table, lines, single, order, words)
    _keep(folder, {"scores": table, "matrices": single, "spectra": lines}, order)
    record.noted(folder, status="done")
    _tell(terminal, about, table, single, order, words, folder, page)


def _identity(model: Model, asked: Request) -> dict[str, str]:
    lags = {"lags": ", ".join(f"{lag:g}" for lag in asked.lags)}
    return {
        "probe": "score",
        "model": model.name,
        "family": model.family,
        "methods": ", ".join(asked.methods),
        "variant": asked.variant,
        **(lags if asked.variant == "rotary" else {}),
        **weights_of(model),
    }


def _order(table: pd.DataFrame) -> list[str]:
    """The heads by the first score (at its first lag), the lowest first."""
    first = table.drop_duplicates("address")
    return list(first.sort_values("value", kind="stable")["address"])


def _summary(table: pd.DataFrame) -> list[str]:
    words = []
    for (method, lag), rows in table.groupby(["method", "lag"], sort=False, dropna=False):  # pyright: ignore[reportGeneralTypeIssues]
        low, high = (rows.loc[one] for one in (rows["value"].idxmin(), rows["value"].idxmax()))
        at = "" if np.isnan(float(str(lag))) else f" at lag {float(str(lag)):g}"
        words.append(
            f"{method} ({rows['variant'].iloc[0]}{at}) of {len(rows)} heads: from "
            f"{low['value']:.4g} ({low['address']}) to {high['value']:.4g} ({high['address']}), "
            f"median {rows['value'].median():.4g}."
        )
    return words


def _keep(folder: Path, tables: dict[str, pd.DataFrame], order: Sequence[str]) -> None:
    for name, table in tables.items():
        write_atomically(folder / f"{name}.parquet", table.to_parquet(index=False))
    keep(folder, {"scores": tables["scores"]})
    write_atomically(folder / "order.txt", "".join(f"{one}\n" for one in order).encode())


def _tell(
    terminal: Terminal,
    about: dict[str, str],
    table: pd.DataFrame,
    single: pd.DataFrame,
    order: Sequence[str],
    words: Sequence[str],
    folder: Path,
    page: Path,
) -> None:
    if terminal.as_json:
        result: dict[str, Any] = {
            "about": about,
            "summary": words,
            "order": order,
            "scores": table.to_dict("records"),
            "matrices": single.to_dict("records"),
            "folder": str(folder),
            "page": str(page),
        }
        terminal.print_json(result)
        return
    if not terminal.quiet:
        _print_table(terminal, table, order, about["variant"])
        terminal.out.print("\n".join(words), markup=False)
    terminal.out.print(f"page: {page.resolve()}", markup=False)


def _print_table(
    terminal: Terminal, table: pd.DataFrame, order: Sequence[str], variant: str
) -> None:
    """The lowest and the highest heads by the first score."""
    names = table["method"] + table["lag"].map(lambda lag: "" if np.isnan(lag) else f" @{lag:g}")
    found: dict[tuple[str, str], float] = dict(
        zip(zip(table["address"], names, strict=True), table["value"], strict=True)
    )
    every = list(dict.fromkeys(names))
    columns = every[:MOST]
    few = len(order) <= 2 * EACH_END
    shown = order if few else [*order[:EACH_END], *order[-EACH_END:]]
    some = "" if few else f" (the {EACH_END} lowest and the {EACH_END} highest of {len(order)})"
    some += f"; {len(every) - MOST} more scores are in scores.csv" if len(every) > MOST else ""
    rows = [
        [one, *(f"{found[one, name]:.4f}" if (one, name) in found else "-" for name in columns)]
        for one in shown
    ]
    terminal.grid(f"Scores from weights alone, {variant}{some}", ["head", *columns], rows)
