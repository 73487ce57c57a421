"""The identifier of languages, and what the network says of texts that it does not understand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import ConfigError, InferenceEngine, Request, Result, StreamState, Understanding
from model.checkpoint import load_checkpoint
from model.inference.languages.identifier import (
    MAX_CHARS,
    NO_LANGUAGE,
    UNKNOWN,
    WEIGHTS,
    Language,
    LanguageIdentifier,
)
from model.inference.understanding import CHANCE, known_share, not_understood

SENTENCES = {
    "ar": "كان الطعام باردا والخدمة بطيئة",
    "de": "Das Essen war leider kalt und der Service sehr langsam",
    "en": "The food was cold and the service was very slow",
    "es": "La comida estaba fría y el servicio muy lento",
    "fr": "Le repas était froid et le service très lent",
    "hi": "खाना ठंडा था और सेवा बहुत धीमी थी",
    "id": "Makanannya dingin dan pelayanannya sangat lambat",
    "it": "Il cibo era freddo e il servizio molto lento",
    "ja": "食べ物は冷たくて、サービスはとても遅かった",
    "ko": "음식은 차가웠고 서비스는 매우 느렸어요",
    "no": "Maten var kald og betjeningen var veldig treg",
    "pt": "A comida estava fria e o serviço muito lento",
    "ru": "Еда была холодной и обслуживание очень медленным",
    "th": "อาหารเย็นและบริการช้ามาก",
    "zh": "菜是冷的服务也很慢",
}


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier()


def test_a_sentence_of_each_language_is_named_with_confidence(identifier: LanguageIdentifier) -> None:
    found = dict(zip(SENTENCES, identifier.identify(list(SENTENCES.values())), strict=True))
    assert {code: language.code for code, language in found.items()} == {code: code for code in SENTENCES}
    assert min(language.confidence for language in found.values()) > 0.5


@pytest.mark.parametrize(
    "text", ["", " ", "12:30 !!!", "ok", "\U0001f602\U0001f602", "@acme #wow http://t.co/x", "\ud800"]
)
def test_what_says_nothing_of_a_language_has_none(identifier: LanguageIdentifier, text: str) -> None:
    assert identifier.identify([text]) == [NO_LANGUAGE]


@pytest.mark.parametrize(
    "text",
    [
        "Η εξυπηρέτηση ήταν αργή",  # noqa: RUF001
        "האוכל היה קר והשירות איטי מאוד",
        "உணவு குளிர்ச்சியாக இருந்தது",
        "Thức ăn nguội và phục vụ rất chậm",
        "საჭმელი ცივი იყო",
    ],
)
def test_a_script_of_no_known_language_is_unknown(identifier: LanguageIdentifier, text: str) -> None:
    assert identifier.identify([text, f"ok {text}"]) == [NO_LANGUAGE] * 2


def test_a_few_letters_say_less_of_a_language_than_a_sentence(identifier: LanguageIdentifier) -> None:
    few, sentence = identifier.identify(["comida", "la comida estaba fría y el servicio muy lento"])
    assert few.confidence < 0.9 < sentence.confidence


def test_case_and_form_of_letters_do_not_change_the_language(identifier: LanguageIdentifier) -> None:
    text = SENTENCES["es"]
    assert len(set(identifier.identify([text, text.upper(), normalize("NFD", text)]))) == 1


def test_the_tables_are_small() -> None:
    assert WEIGHTS.stat().st_size < 1_500_000


@given(st.lists(st.sampled_from([*SENTENCES.values(), "", "ok"]), max_size=6), st.text(max_size=20))
def test_a_text_has_the_same_language_in_any_batch_and_whatever_stands_behind_its_beginning(
    identifier: LanguageIdentifier, others: list[str], end: str
) -> None:
    text = (SENTENCES["de"] * 5)[:MAX_CHARS]
    *_, alone = identifier.identify([text])
    assert identifier.identify([*others, text + end])[-1] == alone


def test_names_links_and_tags_are_no_words_of_a_language(identifier: LanguageIdentifier) -> None:
    with_names, alone = identifier.identify(
        ["@Das_Essen #war &amp; http://kalt.de/und The food was cold", "The food was cold"]
    )
    assert with_names.code == alone.code == "en"


LIMITS = Understanding(languages=("en", "de"), min_known=0.7, min_language_confidence=0.5)


@pytest.mark.parametrize(
    ("known", "language", "reason"),
    [
        (1.0, Language("en", 0.9), None),
        (0.7, Language("de", 0.9), None),
        (0.69, Language("en", 0.9), "unknown_tokens"),
        (1.0, Language("fr", 0.5), "language"),
        (1.0, Language("fr", 0.49), None),
        (1.0, NO_LANGUAGE, None),
        (0.2, Language("fr", 0.9), "unknown_tokens"),
    ],
)
def test_a_text_is_understood_if_its_tokens_are_known_and_its_language_is_read(
    known: float, language: Language, reason: str | None
) -> None:
    assert not_understood(LIMITS, known, language) == reason


def test_a_text_without_tokens_has_no_unknown_ones() -> None:
    assert (known_share(0, 0), known_share(4, 1), known_share(4, 4)) == (1.0, 0.75, 0.0)


@pytest.mark.parametrize(
    "values", [{"languages": ()}, {"languages": ("english",)}, {"min_known": 1.5}, {"min_language_confidence": True}]
)
def test_limits_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Understanding(**values)  # type: ignore[arg-type]


def _load(checkpoint: Path, **changes: object) -> InferenceEngine:
    loaded = load_checkpoint(checkpoint)
    limits = Understanding(min_known=0.0, min_language_confidence=0.5)
    return InferenceEngine(replace(loaded, understanding=limits), **changes)  # type: ignore[arg-type]


def _numbers(result: Result) -> tuple[object, ...]:
    return result.language, round(result.known, 9), result.not_understood, round(result.confidence, 6)


@given(st.lists(st.sampled_from(list(SENTENCES.values())), min_size=1, max_size=3), st.lists(st.integers(0, 400)))
def test_the_last_piece_of_a_text_says_what_the_whole_says(
    engine: InferenceEngine, sentences: list[str], cuts: list[int]
) -> None:
    text = " ".join(sentences) * 2
    (whole,) = engine.score([Request(0, text)])
    state, begin = None, 0
    for cut in sorted(cuts):
        (piece,) = engine.score([Request(0, text[begin:cut], False, state)])
        state = StreamState.from_bytes(piece.state.to_bytes(engine.fingerprint), engine.config, engine.fingerprint)
        begin = max(begin, cut)
    (last,) = engine.score([Request(0, text[begin:], True, state)])
    assert _numbers(last) == _numbers(whole)


def test_confidence_in_a_text_that_is_not_understood_is_at_most_chance(checkpoint: Path) -> None:
    engine = _load(checkpoint)
    english, german = engine.score([Request(0, SENTENCES["en"]), Request(1, SENTENCES["de"])])
    assert english.understood
    assert english.confidence == max(english.probabilities) > CHANCE
    assert (german.understood, german.not_understood) == (False, "language")
    assert german.confidence <= CHANCE


@pytest.mark.parametrize("in_one_call", [True, False])
def test_a_text_that_is_skipped_leaves_its_stream_as_if_it_had_never_come(checkpoint: Path, in_one_call: bool) -> None:
    engine = _load(checkpoint, skips_not_understood=True)
    texts = ["so good", SENTENCES["de"], SENTENCES["de"][:20], SENTENCES["de"][20:], "hate it"]
    requests = [Request(0, text, number != 2) for number, text in enumerate(texts)]
    if in_one_call:
        results = engine.score(requests)
    else:
        results = []
        for request in requests:
            results += engine.score([request._replace(state=results[-1].state if results else None)])
    without = engine.score([Request(0, "so good"), Request(0, "hate it")])
    assert results[-1].probabilities == pytest.approx(without[-1].probabilities, abs=1e-6)
    assert results[-1].state.num_texts == without[-1].state.num_texts == 2
    assert results[-1].state.carried == pytest.approx(without[-1].state.carried, abs=1e-6)
    assert [result.state.num_texts for result in results] == [1, 1, 1, 1, 2]
    assert (results[3].state.open_text, results[2].state.open_text is None) == (None, False)
    kept = _load(checkpoint).score(requests)
    assert kept[-1].state.num_texts == 4


def test_the_default_network_understands_fifteen_languages(packaged_engine: Callable[[str], InferenceEngine]) -> None:
    engine = packaged_engine("default")
    assert engine.understanding.languages == tuple(sorted(SENTENCES))
    results = engine.score([Request(number, text) for number, text in enumerate(SENTENCES.values())])
    assert [result.language.code for result in results] == list(SENTENCES)
    assert all(result.understood for result in results)


@pytest.mark.parametrize("name", ["en", "small"])
def test_the_english_networks_say_which_text_they_do_not_understand(
    name: str, packaged_engine: Callable[[str], InferenceEngine]
) -> None:
    engine = packaged_engine(name)
    assert engine.understanding.languages == ("en",)
    results = dict(zip(SENTENCES, engine.score([Request(code, text) for code, text in SENTENCES.items()]), strict=True))
    assert [code for code, result in results.items() if result.understood] == ["en"]
    assert UNKNOWN not in {result.language.code for result in results.values()}
