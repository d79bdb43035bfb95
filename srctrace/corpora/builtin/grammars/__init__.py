"""What is said: twelve carrier sentences a language, each with slots written as {one|two|three}.

A language is a module with CARRIERS. Numbers are written as digits where espeak reads them as a native speaker would,
and as words where the language inflects them. The subjects are the same in every language; the sentences are not
translations of each other.
"""

from srctrace.corpora.builtin.grammars import de, en, fr, it, pl, ru

CARRIERS = {module.__name__.rpartition(".")[2]: module.CARRIERS for module in (en, de, fr, it, pl, ru)}
