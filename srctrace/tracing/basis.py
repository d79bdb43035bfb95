"""What a trace rests on: models, what they were trained on and how well they did, and what is taken for granted."""

from collections.abc import Sequence

from srctrace.tracing.member import Member
from srctrace.tracing.text import shown

SYNTHETIC = "the speech is taken to be synthetic: whether it is, has to be found out by other means"
PLACES = (("trained_languages", "the training languages"), ("other_languages", "other languages"))


def basis_of(members: Sequence[Member]) -> dict:
    """For programs: JSON values alone.

    `models`: of each its folder, system, corpus, languages, seed, `dev` (figures on its dev split), digest of the
    weights, and `decision`, the facts of its decision; none if it has no decision file. `tested_on_real_speech`:
    whether all were, in a language that they were trained on; none where nothing is known of it. `real_speech`: that in
    words. `assumption`: in words.
    """
    models = [
        {
            "folder": str(one.folder),
            "system": one.description.system,
            "corpus": one.description.training.get("corpus", ""),
            "languages": one.description.training.get("languages", []),
            "seed": one.description.training.get("seed"),
            "dev": one.description.training.get("reached", {}),
            "weights_sha256": one.digest,
            "decision": None if one.decision is None else {"method": one.decision.method, **one.decision.facts},
        }
        for one in members
    ]
    decisions = [model["decision"] for model in models]
    tested = None if None in decisions else all(facts["bona_fide"] for facts in decisions)
    return {
        "models": models,
        "assumption": SYNTHETIC,
        "tested_on_real_speech": tested,
        "real_speech": _real_speech(decisions, tested),
    }


def basis_lines(basis: dict) -> list[str]:
    """For people."""
    lines = ["", "What this rests on"]
    for model in basis["models"]:
        seed = f", seed {model['seed']}" if model["seed"] is not None else ""
        lines.append(f"  {model['folder']}: {model['system']}{seed}")
        languages = ", ".join(model["languages"]) or "languages not stated"
        lines.append(f"    trained on {model['corpus'] or 'a corpus that is not stated'}: {languages}")
        if "dev_macro_f1" in model["dev"]:
            lines.append(f"    macro F1 on its dev utterances: {100 * model['dev']['dev_macro_f1']:.1f} %")
        lines.append(f"    {_decision(model)}")
        lines += _shares_of_real_speech(model["decision"])
    if len(basis["models"]) > 1:
        lines.append(f"  {_mean(basis)}")
    lines.append(f"  {basis['assumption'][0].upper()}{basis['assumption'][1:]}.")
    lines.append(f"  {basis['real_speech']}")
    return [shown(line) for line in lines]  # a model of the hub may be named anything


def _mean(basis: dict) -> str:
    if any(model["decision"] is None for model in basis["models"]):
        return (
            "Probabilities are the models' geometric mean, and none is calibrated; there is no verdict, and no "
            "enrolled source is considered: that needs a decision of each model."
        )
    return "Probabilities are the models' geometric mean; scores are in standard deviations, and averaged."


def _real_speech(decisions: Sequence[dict | None], tested: bool | None) -> str:
    if tested:
        return "Tested on real speech in the training languages, as on an unknown source."
    elsewhere = any(facts and facts["bona_fide_other_languages"] for facts in decisions)
    where = " in the training languages" if elsewhere else ""
    return f"Not tested on real speech{where}: of a recording of a person, a verdict means nothing."


def _shares_of_real_speech(facts: dict | None) -> list[str]:
    found = [(facts[f"bona_fide_{place}"], name) for place, name in PLACES] if facts else []
    return [
        f"    of real speech in {name} ({', '.join(means['languages'])}), {100 * means['false_acceptance']:.1f} % was "
        "called a known source"
        for means, name in found
        if means
    ]


def _decision(model: dict) -> str:
    facts = model["decision"]
    if facts is None:
        return "no verdict, and probabilities as they come: no decision was fitted (snakemake --cores all does so)"
    false_rejection = f"{100 * facts['false_rejection']:.1f} % of {facts['n_dev']} dev utterances of known sources"
    words = f"decision by {facts['method']}: its threshold calls {false_rejection} unknown"
    for place, name in PLACES:
        if facts[place]:
            shares = [f"{100 * facts[place][rate]:.1f} %" for rate in ("false_acceptance", "false_rejection")]
            words += f"; in {name}, {shares[0]} of unknown utterances known, and {shares[1]} of known ones unknown"
    return words + (f" (tested on {', '.join(facts['unknown'])})" if facts["unknown"] else "")
