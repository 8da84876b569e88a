"""Results as a person reads them: one Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET

from policies.simulation.results import BudgetFigures, Figures, Result

__all__ = ("markdown",)

Cell = Callable[[float], str]

_COLUMNS: tuple[tuple[str, str, Cell], ...] = (
    ("apgr", "APGR", "{:.3f}".format),
    ("cpt50", "CPT50", "{:.1%}".format),
    ("cpt80", "CPT80", "{:.1%}".format),
    ("aiq", "AIQ", "{:.4f}".format),
    ("utility", "utility", "{:.4f}".format),
    ("share_of_full_information", "of full information", "{:.1%}".format),
    ("gain_points", "above the best fixed, points", "{:+.2f}".format),
    ("gain_at_end_points", "at the end, points", "{:+.2f}".format),
    ("sla_attainment", "SLA attained", "{:.2%}".format),
    ("quality", "quality", "{:.4f}".format),
    ("cost_usd", "$/request", "{:.3g}".format),
    ("overspend", "overspend", "{:+.2%}".format),
    ("p50_us", "choice p50 us", "{:.0f}".format),
)


def markdown(result: Result) -> str:
    """A heading, and a row for each method; for each budget and method, where there are several budgets."""
    head = (
        f"**{result.table}**, protocol `{result.protocol}`, {result.rows:,} requests, "
        f"{len(result.arms)} arms, {result.seeds} seeds"
    )
    budgets = [of.budgets for of in result.methods.values() if of.budgets is not UNSET]
    if budgets and len(budgets[0]) > 1:
        return f"{head}\n\n{_by_budget(result)}"
    shown = [c for c in _COLUMNS if any(_known(of, c[0]) is not None for of in result.methods.values())]
    rows = [[name, *(_cell(of, field, to) for field, _, to in shown)] for name, of in result.methods.items()]
    table = _table(["method", *(title for _, title, _ in shown)], rows)
    return f"{head}\n\n{table}{_drift(result)}"


def _known(of: Figures, field: str) -> float | None:
    value = getattr(of, field)
    return None if value is UNSET else value


def _cell(of: Figures, field: str, to: Cell) -> str:
    value = _known(of, field)
    if value is None:
        return "-"
    if field not in of.ci95:
        error = getattr(of, f"{field}_se", UNSET)
        return to(value) if error is UNSET else f"{to(value)} ± {error:.2f}"
    low, high = of.ci95[field]
    return f"{to(value)} [{to(low)}, {to(high)}]"


def _by_budget(result: Result) -> str:
    found = {name: of.budgets for name, of in result.methods.items() if of.budgets is not UNSET}
    budgets = [of.budget_usd for of in next(iter(found.values()))]
    rows = [[name, *(_budget_cell(of) for of in each)] for name, each in found.items()]
    return _table(["method", *(f"{budget_usd:.3g} $" for budget_usd in budgets)], rows)


def _budget_cell(of: BudgetFigures) -> str:
    """The quality, and how far over the budget where it matters."""
    return f"{of.quality:.4f}" + (f" ({of.overspend:+.1%})" if (of.overspend or 0.0) > 0.001 else "")


def _drift(result: Result) -> str:
    found = {name: of.gap_after_drift for name, of in result.methods.items() if of.gap_after_drift is not UNSET}
    if not found:
        return ""
    scenarios = list(next(iter(found.values())))
    rows = [[name, *(f"{gaps[scenario]:.1%}" for scenario in scenarios)] for name, gaps in found.items()]
    title = [f"{scenario.replace('_', ' ')}: gap left" for scenario in scenarios]
    return "\n\n" + _table(["method", *title], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
