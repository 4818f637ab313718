"""What is registered for a stream, and what a refusal is called: field and rule, out of the two schemas alone."""

import json

import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.contracts.registration import registered_form, registration_problems

SALES = load_stream("sales")
LOYALTY = FieldSpec(name="loyalty", type="integer", nullable=True, description="Points.")


def on(form: str, contract: StreamContract = SALES) -> StreamContract:
    return contract.model_copy(update={"topic": contract.topic.model_copy(update={"format": form})})


def changed(**update: object) -> StreamContract:
    fields = [f.model_copy(update=update) if f.name == "quantity" else f for f in SALES.fields]
    return SALES.model_copy(update={"fields": fields})


@pytest.mark.parametrize("form", ["avro", "json"])
def test_a_breaking_change_is_named_and_a_compatible_one_is_not(form: str) -> None:
    kind, old = registered_form(on(form))
    assert kind == form.upper()

    def problems(contract: StreamContract) -> str:
        return registration_problems(old, registered_form(on(form, contract), old if form == "json" else "")[1], kind)

    added = SALES.model_copy(update={"fields": [*SALES.fields, LOYALTY]})
    required = SALES.model_copy(update={"fields": [*SALES.fields, LOYALTY.model_copy(update={"nullable": False})]})
    assert problems(added) == problems(changed(type="long")) == problems(SALES) == ""
    assert "(field loyalty, rule added_field_must_be_nullable)" in problems(required)
    assert "(field quantity, rule type_may_only_widen)" in problems(changed(type="string"))


def test_a_property_that_the_contract_lost_stays_in_the_closed_json_schema() -> None:
    _, old = registered_form(on("json"))
    fewer = SALES.model_copy(update={"fields": [f for f in SALES.fields if f.name != "discount"]})
    new = json.loads(registered_form(on("json", fewer), old)[1])
    assert new["additionalProperties"] is False
    assert new["properties"]["discount"]["deprecated"] is True
    assert "discount" not in new["required"]
