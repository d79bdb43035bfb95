"""What is said: twelve carrier sentences a language, each with slots written as {one|two|three}.

A language is a module with CARRIERS. Numbers are written as digits where espeak reads them as a native speaker would,
and as words where the language inflects them. The subjects are the same in every language; the sentences are not
translations of each other. Lists within one sentence never share a word.
"""

from srctrace.corpora.builtin.grammars import de, en, fr, it, pl, ru

CARRIERS = {"en": en.CARRIERS, "de": de.CARRIERS, "fr": fr.CARRIERS, "it": it.CARRIERS, "pl": pl.CARRIERS, "ru": ru.CARRIERS}
