"""The committed table of what the checks say is the one that the checks of today give, and it reaches the goals."""

import confusion
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    return confusion.all_counts()


def test_the_table_is_up_to_date(found):
    assert confusion.TABLE.read_text(encoding="utf-8") == confusion.table(found), "run: python tools/confusion.py"


def test_nineteen_of_twenty_mutants_are_refused(found):
    assert [name for name, c in found.items() if c["refused"] < 0.95 * (c["mutants"] - c["still"])] == []


def test_mutants_that_pass_for_a_reason_exist(found):
    assert {name: c["not seen"] for name, c in found.items() if c["not seen"]} == {}


def test_seven_of_ten_refused_mutants_that_end_are_named(found):
    assert [name for name, c in found.items() if c["named"] < 0.7 * (c["refused"] - c["stopped"])] == []


def test_a_mutant_that_never_ends_is_stopped(monkeypatch):
    def endless(fake_logits):
        while True:
            pass

    monkeypatch.setattr(confusion, "SECONDS", 1)
    kind, sentence = confusion.told(confusion.find("04.generator_loss"), endless)
    assert kind == "stopped"
    assert "it does not end" in sentence
