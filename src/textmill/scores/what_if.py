"""What other thresholds would keep: the verdicts of a run taken again from its stored scores.

No text is read and nothing is measured. Within a group of filters between two transforms every document that
reached the group has its scores, so its verdict under other thresholds is exact. A document that passes now,
but did not in the run, was never seen by what comes after its group: it is counted as undecided there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.errors import UserError
from textmill.recipe import Recipe, load_recipe
from textmill.steps import Filter, Rule
from textmill.steps.settings import StepSettings
from textmill.workspace import Workspace, connect
from textmill.workspace.run_folder import RECIPE_FILE

if TYPE_CHECKING:
    import duckdb


def what_if(workspace: Workspace, overrides: Sequence[str]) -> dict[str, Any]:
    """What a finished run would have kept with other thresholds.

    Args:
        workspace: a run whose document passes are finished.
        overrides: ``gopher_quality.min_words=30`` and the like; thresholds of filters alone.

    Returns:
        Plain JSON values. ``changes``: step, field, before, after. ``steps``: one entry per filter from the
        first changed group on, with ``in``, ``kept``, ``dropped`` of the run, the same with ``_now`` behind the
        name, and ``rules`` (documents dropped by each, before and now). ``kept``: documents that the run kept
        at the end; of those, ``lost`` are dropped now; ``gained`` documents pass the changed filters now and did
        not before. ``steps_unknown``: steps after these filters that have never seen the gained documents.
        ``duplicates_back``: documents that were dropped as copies of one that is dropped now. So the run would
        keep ``at_least`` to ``at_most`` documents, and exactly so many where the two are equal.

    Raises:
        UserError: an override changes something else than thresholds, or the run is not finished.
    """
    old, new = _recipes(workspace, overrides)
    changes = _changes(old, new)
    groups = _groups(workspace, old, new)
    connection = connect(workspace)
    try:
        return {
            "run": workspace.manifest.run,
            "changes": changes,
            **_Replay(connection, workspace, groups).result(),
        }
    finally:
        connection.close()


def _recipes(workspace: Workspace, overrides: Sequence[str]) -> tuple[Recipe, Recipe]:
    if not workspace.exists(RECIPE_FILE):
        raise UserError("This run has no recipe.", where=workspace.url, expected=RECIPE_FILE)
    text, origin = workspace.read_text(RECIPE_FILE), f"{workspace.url}/{RECIPE_FILE}"
    return (
        load_recipe(text, origin=origin, folder=Path.cwd()),
        load_recipe(text, overrides, origin=origin, folder=Path.cwd()),
    )


def _changes(old: Recipe, new: Recipe) -> list[dict[str, Any]]:
    """What the overrides change; raises unless all of it is thresholds."""
    others = [
        name
        for name in type(old).model_fields
        if name != "curate" and getattr(old, name) != getattr(new, name)
    ]
    same_steps = [(type(step), step.step_id) for step in old.curate] == [
        (type(step), step.step_id) for step in new.curate
    ]
    if others or not same_steps:
        raise _not_a_threshold(f"the section {others[0]}" if others else "which steps there are")
    changes = []
    for before, after in zip(old.curate, new.curate, strict=True):
        for field in type(before).model_fields:
            was, now = getattr(before, field), getattr(after, field)
            if was == now:
                continue
            # A field is a threshold if it changes the rules; what changes none changes the scores.
            alone = before.model_copy(update={field: now})
            if (
                not isinstance(before, Filter)
                or not isinstance(alone, Filter)
                or _rules(before) == _rules(alone)
            ):
                raise _not_a_threshold(f"{before.step_id}.{field}")
            changes.append({"step": before.step_id, "field": field, "before": was, "after": now})
    if not changes:
        raise UserError(
            "Nothing is changed.",
            expected="a threshold that differs from the run's",
            where="--set",
            hint="textmill stats shows the scores and the rules",
        )
    return changes


def _not_a_threshold(what: str) -> UserError:
    return UserError(
        f"No threshold: {what}.",
        expected="thresholds of filters: gopher_quality.min_words=30",
        found=what,
        where="--set",
        hint="to change more than thresholds, run the recipe with the same --set: only what changes is done again",
    )


def _rules(step: Filter) -> list[Rule]:
    return list(step.rules())


@dataclass(frozen=True)
class _Group:
    """Filters between two transforms or global steps.

    Attributes:
        number: of the pass that ran them.
        earlier: ids of the steps before them in that pass.
        old: the filters as they ran.
        new: the same with other thresholds.
        later: ids of all steps after them.
        survivors: whether a filter measured only what passed the filters before it.
    """

    number: int
    earlier: tuple[str, ...]
    old: tuple[Filter, ...]
    new: tuple[Filter, ...]
    later: tuple[str, ...]
    survivors: bool

    @property
    def changed(self) -> bool:
        return [_rules(step) for step in self.old] != [_rules(step) for step in self.new]

    @property
    def unseen(self) -> list[str]:
        """Steps that have not seen what passes the changed filters now: those after the group, and filters in
        it that measured survivors only.
        """
        first = next(n for n, step in enumerate(self.old) if _rules(step) != _rules(self.new[n]))
        within = [step.step_id for step in self.old[first + 1 :] if self.survivors or step.cost == "model"]
        return [*within, *self.later]


def _groups(workspace: Workspace, old: Recipe, new: Recipe) -> list[_Group]:
    passes = workspace.manifest.document_passes()
    done = [[count.step for count in record.steps()] for record in passes]
    if any(not any(step.step_id in names for names in done) for step in old.curate):
        raise UserError(
            "This run is not finished.", where=workspace.url, hint="carry its recipe out to the end first"
        )
    groups: list[_Group] = []
    fused: list[int] = []

    def close() -> None:
        if fused:
            first = old.curate[fused[0]].step_id
            number = next(n for n, names in enumerate(done) if first in names)
            earlier = done[number][: done[number].index(first)]
            groups.append(
                _Group(
                    number,
                    tuple(earlier),
                    tuple(_filter(old.curate[position]) for position in fused),
                    tuple(_filter(new.curate[position]) for position in fused),
                    tuple(step.step_id for step in old.curate[fused[-1] + 1 :]),
                    old.run.score == "survivors",
                )
            )
            fused.clear()

    for position, step in enumerate(old.curate):
        if isinstance(step, Filter):
            fused.append(position)
        else:
            close()
    close()
    return groups


def _filter(step: StepSettings) -> Filter:
    assert isinstance(step, Filter)
    return step


class _Replay:
    """Takes the verdicts again, group by group, with the documents that earlier groups drop now left out."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, workspace: Workspace, groups: Sequence[_Group]
    ) -> None:
        self.connection, self.workspace = connection, workspace
        first = next(position for position, group in enumerate(groups) if group.changed)
        self.groups = groups[first:]
        self.last_pass = len(workspace.manifest.document_passes()) - 1
        connection.execute("CREATE TEMP TABLE gone (id BLOB)")
        self.gained = 0

    def result(self) -> dict[str, Any]:
        steps = [row for group in self.groups for row in self._group(group)]
        kept = self._one(f"SELECT count(*) FROM scores_{self.last_pass} WHERE verdict = 'kept'")
        lost = self._one(
            f"SELECT count(*) FROM scores_{self.last_pass} WHERE verdict = 'kept' AND id IN (SELECT id FROM gone)"
        )
        back = self._one(
            "SELECT count(*) FROM events WHERE action = 'matched' AND matched_id IN (SELECT id FROM gone) "
            "AND id NOT IN (SELECT id FROM gone)"
        )
        # Only the groups that changed gain documents; what comes after the first of them has not seen those.
        changed = next(group for group in self.groups if group.changed)
        unknown = changed.unseen if self.gained else []
        undecided = (self.gained if unknown else 0) + back
        surely = kept - lost + (0 if unknown else self.gained)
        return {
            "steps": steps,
            "kept": kept,
            "lost": lost,
            "gained": self.gained,
            "steps_unknown": unknown,
            "duplicates_back": back,
            "at_least": surely,
            "at_most": surely + undecided,
        }

    def _group(self, group: _Group) -> list[dict[str, Any]]:
        columns = {name for name, *_ in self.connection.execute(f"DESCRIBE scores_{group.number}").fetchall()}
        for step in (*group.old, *group.new):
            for rule in step.rules():
                column = f"{step.step_id}.{rule.score}"
                if column not in columns:
                    raise UserError(
                        f"The run has not stored the score {column}.",
                        expected=", ".join(
                            sorted(one for one in columns if one.startswith(f"{step.step_id}."))
                        )
                        or None,
                        hint="run the recipe with the same --set instead",
                    )
        standing = "true"
        if group.earlier:
            standing = f"(step IS NULL OR step NOT IN ({', '.join(map(_literal, group.earlier))}))"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE judged AS SELECT id, {_verdict(group.old)} AS before, "
            f"{_verdict(group.new)} AS now, verdict = 'kept' OR step NOT IN "
            f"({', '.join(_literal(step.step_id) for step in group.old)}) AS passed, "
            f"id IN (SELECT id FROM gone) AS absent FROM scores_{group.number} WHERE {standing}"
        )
        wrong = self._one("SELECT count(*) FROM judged WHERE (before IS NULL) != passed")
        if wrong:
            raise UserError(
                "The stored scores do not give the stored verdicts.",
                found=f"{wrong:,} documents whose verdict differs",
                where=self.workspace.url,
                hint="a filter's thresholds may decide what it measures; run the recipe with the same --set instead",
            )
        before = self._counts("SELECT before, count(*) FROM judged GROUP BY before")
        now = self._counts("SELECT now, count(*) FROM judged WHERE NOT absent GROUP BY now")
        self.gained += self._one(
            "SELECT count(*) FROM judged WHERE NOT absent AND before IS NOT NULL AND now IS NULL"
        )
        self.connection.execute(
            "INSERT INTO gone SELECT id FROM judged WHERE NOT absent AND before IS NULL AND now IS NOT NULL"
        )
        return _rows(group, before, now)

    def _counts(self, query: str) -> dict[tuple[str, str] | None, int]:
        found = self.connection.execute(query).fetchall()
        return {None if key is None else (key["step"], key["rule"]): count for key, count in found}

    def _one(self, query: str) -> int:
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def _rows(
    group: _Group, before: Mapping[tuple[str, str] | None, int], now: Mapping[tuple[str, str] | None, int]
) -> list[dict[str, Any]]:
    """The funnel of the group, before and now."""
    rows = []
    standing, standing_now = sum(before.values()), sum(now.values())
    for old, new in zip(group.old, group.new, strict=True):
        name = old.step_id
        rules = dict.fromkeys(rule.name for step in (old, new) for rule in step.rules())
        gone = sum(count for key, count in before.items() if key is not None and key[0] == name)
        gone_now = sum(count for key, count in now.items() if key is not None and key[0] == name)
        failed, failed_now = before.get((name, _FAILED), 0), now.get((name, _FAILED), 0)
        rows.append(
            {
                "step": name,
                "in": standing,
                "kept": standing - gone,
                "dropped": gone - failed,
                "in_now": standing_now,
                "kept_now": standing_now - gone_now,
                "dropped_now": gone_now - failed_now,
                "changed": _rules(old) != _rules(new),
                "rules": [
                    {
                        "rule": rule,
                        "dropped": before.get((name, rule), 0),
                        "dropped_now": now.get((name, rule), 0),
                    }
                    for rule in rules
                ],
            }
        )
        standing, standing_now = standing - gone, standing_now - gone_now
    return rows


_FAILED = " failed"


def _verdict(steps: Sequence[Filter]) -> str:
    """SQL that gives step and rule of the first refusal, or NULL; as the pipeline decides it."""
    # A branch that no row takes: it gives the type, also where there is no rule at all.
    cases = ["WHEN false THEN {'step': '', 'rule': ''}"]
    for step in steps:
        name = _literal(step.step_id)
        cases.append(
            f"WHEN verdict = 'failed' AND step = {name} THEN {{'step': {name}, 'rule': {_literal(_FAILED)}}}"
        )
        for rule in step.rules():
            column = '"' + f"{step.step_id}.{rule.score}".replace('"', '""') + '"'
            outcome = f"{{'step': {name}, 'rule': {_literal(rule.name)}}}"
            if rule.allowed is not None:
                allowed = ", ".join(map(_literal, rule.allowed)) or "NULL"
                cases.append(f"WHEN {column} NOT IN ({allowed}) THEN {outcome}")
                continue
            if rule.minimum is not None:
                cases.append(f"WHEN {column} < {_float(rule.minimum)} THEN {outcome}")
            if rule.maximum is not None:
                cases.append(f"WHEN {column} > {_float(rule.maximum)} THEN {outcome}")
    return f"CASE {' '.join(cases)} END"


def _float(value: float) -> str:
    """A threshold as SQL, rounded to float32 as :class:`textmill.steps.Rule` rounds it."""
    return f"CAST('{float(np.float32(value))!r}' AS FLOAT)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
