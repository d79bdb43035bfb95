"""The draw of unseen speakers: what a plain draw gives where it will do, and both kinds for every source elsewhere."""

from itertools import combinations, product

import pytest

from srctrace.errors import UserError
from srctrace.rng import generator
from srctrace.speakers.unseen import draw_unseen


def rows_of(groups: dict[tuple[str, str], str]) -> list[dict[str, str]]:
    """(language, source) to its speakers, a letter each."""
    return [
        {"language": language, "source": source, "speaker": speaker}
        for (language, source), speakers in groups.items()
        for speaker in speakers
    ]


def both_everywhere(unseen: set[str], rows: list[dict[str, str]]) -> bool:
    groups = {(row["language"], row["source"]) for row in rows}
    speakers = {g: {row["speaker"] for row in rows if (row["language"], row["source"]) == g} for g in groups}
    return all(speakers[group] & unseen and speakers[group] - unseen for group in groups)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.33, 0.5, 0.99])
@pytest.mark.parametrize("seed", [0, 7])
def test_where_every_speaker_is_in_every_source_it_is_a_plain_draw(share, seed):
    rows = rows_of(dict.fromkeys(product(["en", "de"], ["a", "b", "c"]), "klmnopqrst"))
    order = generator(seed, "unseen speakers").permutation(sorted("klmnopqrst"))
    assert draw_unseen(rows, share, seed) == set(order[: min(9, max(1, round(share * 10)))].tolist())


def partly_shared(seed: int, languages=6, clusters=12, sources=8) -> list[dict[str, str]]:
    """Speakers of one language each, every source with a few of them."""
    rng = generator("a corpus of clusters", seed)
    rows = []
    for language, source in product(range(languages), range(sources)):
        for speaker in rng.choice(clusters, size=rng.integers(3, 6), replace=False):
            rows.append({"language": f"l{language}", "source": f"s{source}", "speaker": f"l{language}-p{speaker:02d}"})
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_every_source_has_both_where_speakers_are_partly_shared(seed):
    rows = partly_shared(seed)
    unseen = draw_unseen(rows, 0.33, seed)
    assert both_everywhere(unseen, rows)
    assert draw_unseen(rows[::-1], 0.33, seed) == unseen
    speakers = {row["speaker"] for row in rows}
    assert 0.2 < len(unseen) / len(speakers) < 0.6


def test_it_is_as_balanced_as_any_choice_can_be():
    """Against all choices: no other is nearer to the share, summed over the groups."""
    groups = {("en", "a"): "klm", ("en", "b"): "mn", ("de", "a"): "nopq", ("de", "b"): "kq", ("de", "c"): "opqrs"}
    rows, share = rows_of(groups), 0.4

    def distance(unseen: set[str]) -> float:
        wanted = {group: min(max(share * len(group), 1), len(group) - 1) for group in groups.values()}
        return sum(abs(len(unseen & set(group)) - wanted[group]) for group in groups.values())

    allowed = [
        set(chosen)
        for count in range(10)
        for chosen in combinations("klmnopqrs", count)
        if both_everywhere(set(chosen), rows)
    ]
    drawn = [draw_unseen(rows, share, seed) for seed in range(20)]
    plain = [
        set(generator(seed, "unseen speakers").permutation(sorted("klmnopqrs"))[:4].tolist()) for seed in range(20)
    ]
    assert all(unseen in allowed for unseen in drawn)
    assert all((unseen == first) == (first in allowed) for unseen, first in zip(drawn, plain, strict=True))
    searched = [unseen for unseen, first in zip(drawn, plain, strict=True) if unseen != first]
    assert searched
    best = min(map(distance, allowed))
    assert all(distance(unseen) == pytest.approx(best) for unseen in searched)


def test_no_speakers_none_asked_for():
    rows = rows_of({("en", "a"): "kl", ("en", "b"): "kl"})
    assert draw_unseen(rows, 0, 0) == set()
    assert draw_unseen([row | {"speaker": ""} for row in rows], 0.5, 0) == set()
    assert draw_unseen([], 0.5, 0) == set()


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {("en", "a"): "klm", ("de", "b"): "n"},
            "source 'b' of language 'de' has one speaker only, 'n'.*clusters",
        ),
        ({("en", "a"): "kl", ("en", "b"): "lm", ("en", "c"): "km"}, "no choice of unseen speakers.*clusters"),
    ],
)
def test_what_cannot_be_is_told(groups, message):
    with pytest.raises(UserError, match=message):
        draw_unseen(rows_of(groups), 0.5, 0)
