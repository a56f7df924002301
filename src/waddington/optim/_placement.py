"""Entries of states that are part of something longer: put into them by a layout, left again, taken over from another.

Several layouts are kept, one for each recent set of gradients, and a parameter may be in many of them. The state holds
the truth: whichever layout steps a parameter has the entries in its columns and buckets, and copies there what another
one had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import torch

from waddington.optim._forms import has_memory
from waddington.optim._standing import Standing
from waddington.optim._units import Member, may_leave

__all__ = ["Place", "Placement"]

Place = tuple[int, str]
"""Where an entry is: the identity of a state, and a name."""


class Placement:
    """The entries that a layout has put into states.

    Parameters
    ----------
    members
        Parameters and their states.
    placed
        States and entries.
    standing
        How the layout has found its tensors.
    """

    def __init__(
        self, members: Sequence[Member], placed: dict[Place, tuple[dict[str, Any], torch.Tensor]], standing: Standing
    ) -> None:
        self._params = {id(member.state): member.param for member in members}
        self._placed, self._standing = placed, standing
        self._left: dict[Place, torch.Tensor] = {}

    def take_over(self, state: Mapping[torch.Tensor, Any], others: Sequence[Placement]) -> bool:
        """Take entries back that other layouts have had since, and tell whether all is in place again.

        Entries of columns and of buckets are copied; tensors that are stepped alone have to be the same. What no layout
        has put where it is was replaced by the user.
        """
        if not self._standing.has_states(state) or not self._standing.is_whole():
            return False
        moved = [(at, held, mine) for at, (held, mine) in self._placed.items() if held.get(at[1]) is not mine]
        owners: dict[int, Placement] = {}
        for at, held, mine in moved:
            theirs: Any = held.get(at[1])
            owner = next((other for other in (self, *others) if other.has_placed(at, theirs)), None)
            if owner is None or theirs.shape != mine.shape:
                return False
            owners[id(owner)] = owner
        if not all(owner._standing.is_whole() for owner in owners.values()):
            return False
        if moved:
            torch._foreach_copy_([mine for *_, mine in moved], [held[at[1]] for at, held, _ in moved])
        for at, held, mine in moved:
            held[at[1]] = mine
            for owner in owners.values():
                owner._left.pop(at, None)
        return self._standing.has_entries()

    def has_placed(self, at: Place, entry: Any) -> bool:
        """Tell whether an entry is one that this layout has put, or left, where it is."""
        if at in self._left and self._left[at] is entry:
            return has_memory(self._left[at])
        return at in self._placed and self._placed[at][1] is entry

    def leave(self, staying: AbstractSet[int] = frozenset()) -> None:
        """Leave entries that are part of something longer to themselves; a saved state would hold all of it.

        Parameters
        ----------
        staying
            Identities of the parameters whose entries go on as part of something longer.
        """
        for at, (held, mine) in self._placed.items():
            if held.get(at[1]) is mine and id(self._params[at[0]]) not in staying and may_leave(mine):
                held[at[1]] = self._left[at] = mine.clone()
