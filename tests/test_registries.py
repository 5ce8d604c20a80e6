"""What holds for every registered name of every registry."""

import inspect
import re
from typing import Any

import pytest

from tledge.attacks.attack import ATTACKS, Attack
from tledge.cli.commands import visualize as visualize_command
from tledge.core import sidecar_storage
from tledge.core.options import option_names
from tledge.core.registry import Registry
from tledge.edge_runtime.runtime import RUNTIMES, Runtime
from tledge.export.format import FORMATS, Format
from tledge.export.recipes import RECIPES
from tledge.train.backbone import BACKBONES, Backbone
from tledge.visualize.kind import KINDS, Kind
from tledge.visualize.visualize_options import KindOptions

REGISTRIES: list[Registry[Any]] = [ATTACKS, BACKBONES, FORMATS, KINDS, RUNTIMES]


@pytest.mark.unit
@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_name_loads_and_is_one_of_its_kind(registry: Registry[Any]) -> None:
    assert registry.names()
    for name in registry.names():
        assert isinstance(registry.load(name), registry.base)


@pytest.mark.parametrize("name", BACKBONES.names())
def test_backbones_name_a_keras_application_and_their_paper(name: str) -> None:
    keras = pytest.importorskip("keras")
    backbone: Backbone = BACKBONES.load(name)
    assert callable(getattr(keras.applications, backbone.application))
    assert "arXiv" in backbone.reference
    assert backbone.minimum_image_size <= backbone.default_image_size
    network = backbone.build(64, None)
    names = [layer.name for layer in network.layers]
    places = [names.index(stage) for stage in backbone.stages]
    assert places == sorted(places)
    assert not any(layer.weights for layer in network.layers[: places[0]]), "the first stage has the first weights"
    with_width = "alpha" in inspect.signature(getattr(keras.applications, backbone.application)).parameters
    assert bool(backbone.widths) == with_width


@pytest.mark.unit
@pytest.mark.parametrize("name", FORMATS.names())
def test_formats_have_known_recipes_a_sidecar_and_a_runtime(name: str) -> None:
    kind: Format = FORMATS.load(name)
    assert set(kind.recipes) <= {recipe.name for recipe in RECIPES}
    assert "float32" in kind.recipes
    assert name in sidecar_storage.FORMATS
    assert any(name in RUNTIMES.load(runtime).formats for runtime in RUNTIMES.names())


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_runtimes_have_a_cpu_and_say_where_they_come_from(name: str) -> None:
    runtime: Runtime = RUNTIMES.load(name)
    assert set(runtime.formats) <= set(sidecar_storage.FORMATS)
    assert runtime.missing() or "cpu" in {device.name for device in runtime.devices() if not device.missing}
    assert runtime.distributions


@pytest.mark.unit
@pytest.mark.parametrize("name", ATTACKS.names())
def test_attacks_are_called_as_their_module_and_name_their_paper(name: str) -> None:
    attack: Attack = ATTACKS.load(name)
    assert attack.name == name
    assert "arXiv" in attack.reference
    assert attack.norms
    assert attack.budget >= 1


@pytest.mark.unit
@pytest.mark.parametrize("name", KINDS.names())
def test_kinds_are_called_as_their_module_and_have_options_that_the_command_takes(name: str) -> None:
    kind: Kind = KINDS.load(name)
    assert kind.name == name
    assert kind.title
    assert kind.options() <= option_names(KindOptions)
    assert re.search(rf"\b{name}:", visualize_command.run.__doc__ or ""), "the command's help says what it is"
