"""What one call of the command line said."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """code: the exit code. out, err: all of stdout and stderr."""

    code: object
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr that tells a mistake; fails unless it is there and alone."""
        (line,) = [one for one in self.err.splitlines() if one.startswith("tsfm-probe: ")]
        assert self.err.endswith(line + "\n"), "it is the last line"
        assert "Traceback" not in self.err
        return line.removeprefix("tsfm-probe: ")
