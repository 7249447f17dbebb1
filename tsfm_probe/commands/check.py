"""`tsfm-probe check`: the laws on one model."""

from dataclasses import asdict

from tsfm_probe.commands.terminal import Terminal
from tsfm_probe.data.synthetic import generated
from tsfm_probe.errors import CheckFailed
from tsfm_probe.laws import LAWS, Finding, check
from tsfm_probe.models import load

HORIZON = 12
LENGTHS = (96, 96, 80, 64)


def execute(name: str, device: str, terminal: Terminal) -> None:
    """Try every law; CheckFailed if one does not hold."""
    model = load(name, device, "float32")
    series = generated(1, max(LENGTHS), seed=0)[: len(LENGTHS)]
    contexts = [one.values[-size:] for one, size in zip(series, LENGTHS, strict=True)]
    findings: list[Finding] = []
    with terminal.progress("checking") as progress:
        for number, finding in enumerate(check(model, contexts, HORIZON), 1):
            findings.append(finding)
            progress(number, len(LAWS), finding.law)
    _tell(findings, name, terminal)
    failed = [finding for finding in findings if finding.fails]
    if failed:
        words = "; ".join(f"law {one.number} ({one.law}): {one.deviation:.3g}" for one in failed)
        raise CheckFailed(
            f"{name} was checked", f"{len(failed)} of {len(findings)} laws fail", words
        )


def _tell(findings: list[Finding], name: str, terminal: Terminal) -> None:
    if terminal.as_json:
        terminal.print_json([asdict(one) | {"holds": one.holds} for one in findings])
        return
    rows = [
        [
            f"{one.number:>2} {one.law}",
            "holds" if one.holds else "FAILS" if one.tried else "not tried",
            f"{one.deviation:.2g}" if one.tried else "-",
            f"{one.allowed:.2g}" if one.tried else "-",
            one.note,
        ]
        for one in findings
    ]
    terminal.grid(f"Laws on {name}", ["law", "", "deviation", "allowed", "note"], rows)
