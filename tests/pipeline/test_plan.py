"""From recipe to passes."""

from __future__ import annotations

from tests.pipeline.run_folder import recipe, steps
from textmill.pipeline import plan_recipe


def test_consecutive_steps_are_fused_and_a_global_step_ends_a_pass() -> None:
    plan = plan_recipe(recipe(steps.Upper(), steps.Even(), steps.Same(), steps.Even(id="late")))
    assert plan.describe() == [
        "0-ingest  read numbers",
        "1-curate  upper > even > fingerprint for same",
        "2-same    resolve same over partitions of fingerprints",
        "3-curate  apply same > late",
    ]


def test_two_global_steps_in_a_row() -> None:
    plan = plan_recipe(recipe(steps.Same(), steps.Same(id="twice")))
    assert [one.name for one in plan.passes] == [
        "0-ingest",
        "1-curate",
        "2-same",
        "3-curate",
        "4-twice",
        "5-curate",
    ]
    assert plan.passes[3].describe() == "apply same > fingerprint for twice"


def test_fingerprints_follow_from_what_decides_results_alone() -> None:
    def prints(*args: object, **kwargs: object) -> list[str]:
        return [one.fingerprint for one in plan_recipe(recipe(*args, **kwargs)).passes]  # type: ignore[arg-type]

    base = prints()
    assert prints(workers=7) == base
    assert prints(steps.Upper(), steps.Even(max_tail=5), steps.Same())[0] == base[0]
    assert prints(steps.Upper(), steps.Even(max_tail=5), steps.Same())[1] != base[1]
    assert prints(score="survivors")[1] != base[1]
    assert prints(shard_bytes=4096)[0] != base[0]
