"""Prompts with places: what is put in is text, and searched no more."""

from cooper_jax.host.text.templates import filled


def test_what_is_put_in_is_not_searched() -> None:
    assert filled("{a}{b}{c}", a="{b}", b="\\1") == "{b}\\1{c}"
