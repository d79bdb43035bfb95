"""A corpus that is a table: a path, a language and a source per utterance, and what else is known."""

import os
from collections.abc import Iterable, Sequence

from srctrace.corpora.loose import open_loose, split_named
from srctrace.errors import UserError
from srctrace.manifest import COLUMNS, Row, new_row


def read_corpus_tables(paths: Sequence[str | os.PathLike], languages: Iterable[str]) -> list[Row]:
    """Utterances of tables with a path, a language and a source; the manifest's other columns are optional.

    How a table is written is found out, see `corpora.loose`.

    Raises:
        UserError: a column is missing, a split is unknown, or a language of `languages` is in none of them.
    """
    wanted = set(languages)
    rows, found = [], set()
    for path in paths:
        for fields in open_loose(path, ["path", "language", "source"]).rows():
            found.add(fields["language"])
            if fields["language"] in wanted:
                if fields.get("split"):
                    fields["split"] = split_named(fields["split"], f"{path}: {fields['path']}")
                known = {name: fields[name] for name in COLUMNS[4:] if name in fields}
                utterance = fields.get("utterance") or os.path.splitext(fields["path"])[0]
                rows.append(new_row(utterance, fields["path"], fields["language"], fields["source"], **known))
    for language in wanted:
        if language not in found:
            names = ", ".join(str(path) for path in paths)
            raise UserError(f"{names}: no utterance of language {language!r}; found: {', '.join(sorted(found))}")
    return rows
