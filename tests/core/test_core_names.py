"""The names that ``tledge.core`` exports, and what importing it costs."""

from support import modules_after

import tledge.core


def test_every_exported_name_can_be_used() -> None:
    assert sorted(tledge.core.__all__) == sorted(name for names in tledge.core._MODULES.values() for name in names)
    for name in tledge.core.__all__:
        assert getattr(tledge.core, name).__name__ == name
    assert not hasattr(tledge.core, "absent")


def test_importing_core_and_listing_its_names_loads_no_library() -> None:
    loaded = set(modules_after("import tledge.core; tledge.core.__all__"))
    assert not [name for name in loaded if name.split(".")[0] in ("numpy", "PIL", "tensorflow", "keras")]
