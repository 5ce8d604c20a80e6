"""The recipes and the floors that their artifacts have to reach."""

import pytest

from tledge.core.errors import UnknownNameError
from tledge.export.recipes import LARGEST_DROP, RECIPES, Recipe, find_recipe, parse_recipes

pytestmark = pytest.mark.unit


def test_recipes_are_parsed_once_and_in_order() -> None:
    assert [recipe.name for recipe in parse_recipes(["int8,float16", " float16 "])] == ["float16", "int8"]
    with pytest.raises(
        UnknownNameError,
        match=r"unknown recipe 'int9'. Did you mean 'int8'\? Recipes: float32, float16, dynamic, int16x8, int8, qat",
    ):
        parse_recipes(["int9"])


@pytest.mark.parametrize("names", [[], [""], [" , "]])
def test_no_recipe_is_an_error(names: list[str]) -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe ''"):
        parse_recipes(names)


def test_one_unknown_recipe_among_others_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown recipe 'int9'"):
        parse_recipes(["int8", "int9", "float16"])


def test_floors_and_kinds_of_the_recipes() -> None:
    assert (
        Recipe(name="float32", floor=60.0, calibrated=False, trained=False),
        Recipe(name="float16", floor=30.0, calibrated=False, trained=False),
        Recipe(name="dynamic", floor=15.0, calibrated=False, trained=False),
        Recipe(name="int16x8", floor=20.0, calibrated=True, trained=False),
        Recipe(name="int8", floor=15.0, calibrated=True, trained=False),
        Recipe(name="qat", floor=None, calibrated=True, trained=True),
    ) == RECIPES
    assert LARGEST_DROP == 5.0
    assert Recipe("new") == Recipe(name="new", floor=None, calibrated=False, trained=False)


def test_a_recipe_is_found_by_name() -> None:
    assert find_recipe("int8") is RECIPES[4]
