"""docs/reference/settings.md is what the code says, and the code says enough."""

import pytest

from tollhouse.reference import PAGE, page
from tollhouse.services import SERVICES


@pytest.mark.requirement("OPS-04")
def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tollhouse.reference"


@pytest.mark.requirement("OPS-04")
@pytest.mark.parametrize("name", SERVICES)
def test_every_setting_is_typed_described_and_frozen(name: str) -> None:
    settings = SERVICES[name].settings_class()
    assert settings.model_config["frozen"]
    assert settings.model_config["extra"] == "forbid"
    assert [field for field, info in settings.model_fields.items() if not info.description] == []
