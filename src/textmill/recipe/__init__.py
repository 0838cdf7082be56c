"""Recipes: what a user writes, as typed and frozen settings.

::

    recipe.yaml ──► tree of values with line and column ──► + overrides ──► Recipe ──► plan
                                                    mistakes: place, expected, found, what to do

>>> from textmill.recipe import load_recipe
>>> recipe = load_recipe('''
... name: notes
... sources: [{files: {paths: notes/}}]
... ''', ["run.workers=2"])
>>> recipe.name, recipe.run.workers
('notes', 2)
"""

from textmill.recipe.dump import dump_recipe, json_schema
from textmill.recipe.loading import load_recipe
from textmill.recipe.mistakes import RecipeError
from textmill.recipe.model import Recipe, Registry, RunSection, default_registry
from textmill.recipe.overrides import Override

__all__ = [
    "Override",
    "Recipe",
    "RecipeError",
    "Registry",
    "RunSection",
    "default_registry",
    "dump_recipe",
    "json_schema",
    "load_recipe",
]
