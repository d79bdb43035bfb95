"""Which speakers are unseen: in no train or dev split of any language.

Every source of every language needs seen speakers to be trained on, and unseen ones to be tested on. Where each speaker
occurs in every source, any draw gives both. Where speakers are shared by some sources only, as pseudo-speakers are, a
draw at random may not.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import connected_components

from srctrace.errors import UserError
from srctrace.rng import generator

NODES = 100  # of the branch and bound: a limit that, unlike one of time, is the same on every machine
GAP = 0.02  # the search ends this near to the best there can be

Row = Mapping[str, str]


def draw_unseen(rows: Iterable[Row], share: float, seed: int) -> set[str]:
    """Speakers that are unseen: about `share` of those of each source of each language, at least one, never all.

    Drawn over the whole corpus: who is unseen is so in every language. A plain draw is taken if it will do; if not,
    a set whose numbers over all (language, source) are as near to `share` as was found.

    Args:
        rows: `language`, `source` and `speaker`; without a known speaker, a row is passed over.

    Returns:
        None of them if `share` is 0 or fewer than two speakers are known.

    Raises:
        UserError: a source has one speaker only in a language, or no choice gives every source both.
    """
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["speaker"]:
            groups[row["language"], row["source"]].add(row["speaker"])
    speakers = sorted(set().union(*groups.values()))
    if len(speakers) < 2 or share == 0:
        return set()
    count = min(len(speakers) - 1, max(1, round(share * len(speakers))))
    order = generator(seed, "unseen speakers").permutation(speakers).tolist()
    plain = set(order[:count])
    if all(plain & group and group - plain for group in groups.values()):
        return plain
    return _balanced(groups, order, share)


def _balanced(groups: Mapping[tuple[str, str], set[str]], order: list[str], share: float) -> set[str]:
    """The set nearest to `share` in every group, found for groups that share no speaker with others on their own."""
    for (language, source), group in sorted(groups.items()):
        if len(group) < 2:
            raise UserError(
                f"speakers: source {source!r} of language {language!r} has one speaker only, {min(group)!r}, who "
                f"cannot be both seen and unseen: {_REMEDIES}"
            )
    names = sorted(groups)
    member = np.array([[speaker in groups[name] for speaker in order] for name in names], dtype=float)
    parts, part_of = connected_components(member @ member.T, directed=False)
    unseen: set[str] = set()
    for part in range(parts):
        inside = part_of == part
        belong = member[inside].any(axis=0)
        taken = _nearest(member[np.ix_(inside, belong)], share)
        if taken is None:
            where = [f"{source} ({language})" for (language, source), here in zip(names, inside, strict=True) if here]
            raise UserError(
                "speakers: no choice of unseen speakers leaves each of these sources both seen and unseen ones: "
                f"{', '.join(where)}: {_REMEDIES}"
            )
        unseen.update(np.array(order)[belong][taken].tolist())
    return unseen


def _nearest(member: np.ndarray, share: float) -> np.ndarray | None:
    """Which speakers to take, as truth values, by integer programming; the first ones where the choice is open.

    One variable in {0, 1} per speaker, and one per group that is at least its distance from what it should have.

    Args:
        member: `(groups, speakers)`, 1 where the group has the speaker.
    """
    groups, speakers = member.shape
    sizes, distance = member.sum(axis=1), np.eye(groups)
    wanted = np.clip(share * sizes, 1, sizes - 1)
    found = milp(
        c=np.concatenate([np.linspace(0, 1e-3, speakers), np.ones(groups)]),
        integrality=np.repeat([1, 0], [speakers, groups]),
        bounds=Bounds(0, np.repeat([1, np.inf], [speakers, groups])),
        constraints=[
            LinearConstraint(np.hstack([member, 0 * distance]), 1, sizes - 1),
            LinearConstraint(np.hstack([member, distance]), wanted),
            LinearConstraint(np.hstack([member, -distance]), ub=wanted),
        ],
        options={"node_limit": NODES, "mip_rel_gap": GAP},
    )
    return None if found.x is None else found.x[:speakers] > 0.5


_REMEDIES = (
    "leave one out of corpus.sources, set split.unseen_speakers to 0 or, where speakers are clusters, change "
    "speakers.clusters or take another embedding (speakers.model)"
)
