"""Names and times as they are shown to people."""


def shown(name: str) -> str:
    """A name with what no terminal or table can take in it, as line breaks or bytes that are no text, escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in name
    )


def clock(seconds: float) -> str:
    """`1:04.5` is a minute and 4.5 seconds."""
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
