"""From a recipe to a run folder.

::

    recipe ─► plan ─► pass 0: ingest ─► pass: removals, transforms, filters, fingerprints ─► resolve ─► … ─► stages
                            │  items through an engine (worker processes, or Ray)
                            └─ the coordinator commits each item; unchanged items are not made again

>>> from textmill.pipeline import plan_recipe
>>> from textmill.recipe import load_recipe
>>> recipe = load_recipe("name: a\\nsources: [python_docs]\\ncurate: [normalize, exact_dedup]\\n")
>>> print("\\n".join(plan_recipe(recipe).describe()))
0-ingest       read python_docs
1-curate       normalize > fingerprint for exact_dedup
2-exact_dedup  resolve exact_dedup over partitions of fingerprints
3-curate       apply exact_dedup
"""

from textmill.pipeline.plan import PassPlan, Plan, plan_recipe
from textmill.pipeline.run import run_recipe
from textmill.steps.progress import Progress, Silence

__all__ = ["PassPlan", "Plan", "Progress", "Silence", "plan_recipe", "run_recipe"]
