"""Choose a few combinations in which every pair of levels of two factors occurs."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Row = TypeVar("Row")


def pairwise(
    rows: Sequence[Row],
    levels: Callable[[Row], Sequence[Hashable]],
    cost: Callable[[Row], float] = lambda row: 1.0,
) -> list[Row]:
    """A cover: every pair of levels that occurs together in ``rows`` occurs in what is returned.

    The row that adds most new pairs for its cost comes next, the first of equals; what a row adds only ever
    shrinks, so a heap of old estimates finds it (lazy greedy: Minoux, Lecture Notes in Control and Information
    Sciences 7:234, 1978).

    Args:
        rows: every combination that there is.
        levels: the level of each factor in a row; levels of two factors must differ.
        cost: how much a row costs.

    >>> chosen = pairwise(list(itertools.product("ab", "cd", "ef")), lambda row: row)
    >>> ["".join(row) for row in chosen]
    ['ace', 'adf', 'bcf', 'bde']
    """
    pairs = [set(itertools.combinations(levels(row), 2)) for row in rows]
    prices = [cost(row) for row in rows]
    open_pairs = set().union(*pairs)
    heap = [(-len(p) / price, k) for k, (p, price) in enumerate(zip(pairs, prices))]
    heapq.heapify(heap)
    chosen = []
    while open_pairs:
        _, k = heapq.heappop(heap)
        gain = len(pairs[k] & open_pairs) / prices[k]
        if not gain:
            continue
        if heap and (-gain, k) > heap[0]:
            heapq.heappush(heap, (-gain, k))
            continue
        chosen.append(k)
        open_pairs -= pairs[k]
    return [rows[k] for k in chosen]
