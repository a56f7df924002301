"""A tokenizer of letters, for tiny models that are built without a folder of weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["LetterTokenizer"]


class LetterTokenizer:
    """Numbers the letters of some texts; what else comes is a question mark.

    Parameters
    ----------
    texts
        Whose letters are known.
    """

    pad_token_id = 0
    eos_token_id = 1
    bos_token_id = 2

    def __init__(self, texts: Iterable[str]) -> None:
        self._letters = ["", "", "", "?", *sorted(set("".join(texts)) - {"?"})]
        self._number = {letter: i for i, letter in enumerate(self._letters) if letter}

    def __len__(self) -> int:
        return len(self._letters)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Give numbers, after the one that begins a text."""
        begin = [self.bos_token_id] if add_special_tokens else []
        return begin + [self._number.get(letter, 3) for letter in text]

    def decode(self, numbers: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Give the letters of numbers."""
        return "".join(self._letters[int(i)] for i in numbers)
