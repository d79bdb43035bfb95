"""What a trace rests on: models, what they were trained on and how well they did, and what is taken for granted."""

from collections.abc import Sequence

from srctrace.tracing.member import Member

SYNTHETIC = "the speech is taken to be synthetic: whether it is, has to be found out by other means"


def basis_of(members: Sequence[Member]) -> dict:
    """For programs: JSON values alone.

    `models`: of each its folder, system, corpus, languages, seed, `dev` (figures on its dev split), digest of the
    weights, and `decision`, the facts of its decision; none if it has no decision file. `tested_on_real_speech`:
    whether all were; none where nothing is known of it. `assumption`: in words.
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
    tested = [model["decision"] and model["decision"].get("bona_fide") for model in models]
    return {
        "models": models,
        "assumption": SYNTHETIC,
        "tested_on_real_speech": None if None in tested else all(tested),
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
    if len(basis["models"]) > 1:
        lines.append("  Probabilities are the models' geometric mean; scores are in standard deviations, and averaged.")
    lines.append(f"  {basis['assumption'][0].upper()}{basis['assumption'][1:]}.")
    lines.append(f"  {_real_speech(basis)}")
    return lines


def _real_speech(basis: dict) -> str:
    if not basis["tested_on_real_speech"]:
        return "Not tested on real speech: of a recording of a person, a verdict means nothing."
    shares = [100 * model["decision"]["bona_fide_false_acceptance"] for model in basis["models"]]
    return f"Tested on real speech: {', '.join(f'{share:.1f} %' for share in shares)} of it was called a known source."


def _decision(model: dict) -> str:
    facts = model["decision"]
    if facts is None:
        return "no verdict, and probabilities as they come: no decision was fitted (snakemake --cores all does so)"
    false_rejection = f"{100 * facts['false_rejection']:.1f} % of {facts['n_dev']} dev utterances of known sources"
    words = f"decision by {facts['method']}: its threshold calls {false_rejection} unknown"
    for place, name in (("trained_languages", "the training languages"), ("other_languages", "other languages")):
        if facts.get(place):
            shares = [f"{100 * facts[place][rate]:.1f} %" for rate in ("false_acceptance", "false_rejection")]
            words += f"; in {name}, {shares[0]} of unknown utterances known, and {shares[1]} of known ones unknown"
    return words + (f" (tested on {', '.join(facts['unknown'])})" if facts["unknown"] else "")
