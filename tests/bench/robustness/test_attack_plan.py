"""Plans of attacks, from the parameters of a benchmark."""

import json
from pathlib import Path
from typing import Any

import pytest

from tledge.bench.results.bench_options import AttackOptions
from tledge.bench.robustness.attack_inputs import AttackInputs
from tledge.bench.robustness.attack_plan import AttackPlan, plan_attacks
from tledge.bench.robustness.robustness_plan import RobustnessPlan
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit


def test_plans_are_what_options_say() -> None:
    assert plan_attacks(AttackOptions()) is None
    plan = plan_attacks(AttackOptions(attack=["apgd", "square"], eps=(4, 1, 4), attack_steps=7))
    assert plan is not None
    assert plan.eps == (1.0, 4.0)
    assert [attack.name for attack in plan.white_box] == ["apgd"]
    assert plan.white_box[0].parameters["steps"] == 7
    assert plan.white_box[0].parameters["early_stop"] is False
    assert plan.black_box[0].parameters["queries"] == 200
    assert AttackPlan.from_dict(json.loads(json.dumps(plan.to_dict())), "settings") == plan
    assert plan_attacks(plan.options()) == plan
    with pytest.raises(OptionError, match="`attack_images`"):
        AttackPlan(attack_images=0)
    with pytest.raises(UnknownNameError, match="norm"):
        AttackPlan(attack=("pgd",), norm="l1")


@pytest.mark.parametrize(
    ("attack", "versions"), [("pgd", {}), (("pgd", "square"), {"square": 2}), ("square", {"square": 2})]
)
def test_the_record_of_a_plan_has_the_versions_of_its_attacks(attack: Any, versions: dict[str, int]) -> None:
    plan = plan_attacks(AttackOptions(attack=attack))
    assert plan is not None
    recorded = RobustnessPlan((), 0, AttackInputs(plan)).attacks
    assert recorded == {**plan.to_dict(), "versions": versions}
    assert AttackPlan.from_dict(recorded, "settings") == plan
    assert RobustnessPlan((), 0, None).attacks == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": "square", "attack_images": 0}, "`attack_images` must be 1 or more; received 0"),
        ({"attack": "square", "eps": ()}, "`eps` needs at least one number, as in `eps=(1, 2, 4, 8)`"),
        (
            {"attack": "square", "attack_steps": 3},
            "`attack_steps=3` is for apgd and pgd; name one of them with `attack`",
        ),
        ({"attack": "pgd", "attack_queries": 3}, "`attack_queries=3` is for square; name one of them with `attack`"),
        (
            {"attack": "square", "surrogate": "a.keras"},
            "`surrogate` is for attacks with gradients: apgd, fgsm, pgd; name one of them with `attack`",
        ),
        (
            {"attack_set": "a", "eps": (1,), "norm": "l2"},
            "`attack_set` reuses attacks that were made earlier; leave out `eps`, `norm`",
        ),
        ({"eps": (1,)}, "`eps` configures an attack; name one with `attack`: apgd, fgsm, pgd, square"),
        (
            {"attack": "pgd", "norm": "l2"},
            "`norm='l2'` needs `eps`: the length of the whole change in pixel values, as in `eps=(128, 256)`",
        ),
        ({"attack": "pgd", "attack_target": ""}, "`attack_target` needs the name of a class"),
    ],
)
def test_plans_that_cannot_be_are_rejected(options: Any, message: str) -> None:
    with pytest.raises(OptionError) as error:
        plan_attacks(AttackOptions(**options))
    assert str(error.value) == message


def test_the_usual_plan() -> None:
    plan = plan_attacks(AttackOptions(attack="square", attack_images=1))
    assert plan is not None
    assert (plan.eps, plan.norm, plan.attack_images) == ((1, 2, 4, 8), "linf", 1)
    assert [str(threat) for threat in plan.threats] == [f"linf {eps}/255" for eps in (1, 2, 4, 8)]
    assert plan.black_box[0].length == 200
    assert plan.white_box == ()
    both = plan_attacks(AttackOptions(attack=("pgd", "square", "pgd"), attack_queries=7))
    assert both is not None
    assert [(attack.name, attack.length) for attack in both.attacks] == [("pgd", 20), ("square", 7)]


def test_paths_are_kept_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_attacks(AttackOptions(attack_set="set"))
    assert plan is not None
    assert plan.options() == AttackOptions(attack_set=str(tmp_path / "set"))
    plan = plan_attacks(AttackOptions(attack="pgd", surrogate=Path("a.keras")))
    assert plan is not None
    assert plan.options().surrogate == str(tmp_path / "a.keras")
