"""What an audit found."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: of what, such as "gutter".
        status: `warn` is for what some engines or artists mind and others do not.
        value: what was measured, with its unit.
        limit: what would do; empty where there is no limit.
        remedy: what to do about it; empty where it passes.
    """

    name: str
    status: Status
    value: str
    limit: str = ""
    remedy: str = ""


def judge(name: str, good: bool, value: str, limit: str = "", remedy: str = "", *, mild: bool = False) -> Finding:
    """A finding that passes where it is `good`; where not it fails, or only warns where that is `mild`."""
    return (
        Finding(name, "pass", value, limit) if good else Finding(name, "warn" if mild else "fail", value, limit, remedy)
    )


@dataclass(frozen=True)
class Report:
    """All findings about a file.

    Args:
        path: the file.
        preset: what it was held against; None where only what holds for every asset was asked.
        findings: in the order of a table.
        figures: further numbers, for programs.
    """

    path: Path
    preset: str | None
    findings: tuple[Finding, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(finding.status != "fail" for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name."""
        return next(finding for finding in self.findings if finding.name == name)

    def as_json(self) -> dict[str, Any]:
        """The report as what JSON can hold."""
        return {
            "file": str(self.path),
            "preset": self.preset,
            "passed": self.passed,
            "findings": [vars(finding) for finding in self.findings],
            "figures": self.figures,
        }
