"""The relative-position term and the virtual key against their written-out definitions."""

import pytest
import torch
from plain_sam3d import relative_term_by_broadcast, relative_term_by_index

from nnunetv2_muduo.teachers.sam3d.relative_position import axis_terms, padded_keys_bias, real_key_bias, relative_rows

HEADS, WIDTH = 2, 5


def draw(window: int, grid: int, n: int = 2 * HEADS):
    """Queries of the grid, the padded tokens' query of each head, and three tables."""
    generator = torch.Generator().manual_seed(window * 10 + grid)
    queries = torch.randn(n, grid, grid, grid, WIDTH, generator=generator)
    padded_query = torch.randn(HEADS, WIDTH, generator=generator)
    tables = tuple(torch.randn(2 * window - 1, WIDTH, generator=generator) for _ in range(3))
    return queries, padded_query, tables


def full_window_term(queries, padded_query, tables, window):
    """The term of all S^3 queries and keys, the padded queries written into the window: [n, S, S, S, S, S, S]."""
    n, grid = queries.shape[:2]
    full = padded_query.repeat(n // HEADS, 1)[:, None, None, None].expand(n, window, window, window, -1).clone()
    full[:, :grid, :grid, :grid] = queries
    return relative_term_by_index(full, *tables)


def test_rows_are_looked_up_by_the_difference_of_positions():
    rows = relative_rows(torch.arange(5.0)[:, None], 3)[..., 0]
    assert rows.tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]


def test_both_plain_ways_to_write_the_term_agree():
    queries, _, tables = draw(window=3, grid=3)
    torch.testing.assert_close(relative_term_by_broadcast(queries, *tables), relative_term_by_index(queries, *tables))


def test_plain_term_is_the_published_sum_at_one_place():
    queries, _, tables = draw(window=3, grid=3)
    rows_d, rows_h, rows_w = (relative_rows(table, 3) for table in tables)
    d, h, w, kd, kh, kw = 1, 2, 0, 2, 1, 2
    expected = (
        queries[0, d, h, w] @ rows_d[d, kw]
        + queries[0, d, h, kd] @ rows_h[h, kw]
        + queries[0, d, h, kh] @ rows_w[kh, kw]
    )
    torch.testing.assert_close(relative_term_by_index(queries, *tables)[0, d, h, w, kd, kh, kw], expected)


@pytest.mark.parametrize(("window", "grid"), [(4, 4), (6, 4), (5, 2), (4, 1)])
def test_term_of_real_keys_agrees_with_the_plain_window(window, grid):
    queries, padded_query, tables = draw(window, grid)
    term = full_window_term(queries, padded_query, tables, window)
    expected = term[:, :grid, :grid, :grid, :grid, :grid, :grid].reshape(len(queries), grid**3, grid**3)
    torch.testing.assert_close(real_key_bias(axis_terms(queries, tables, window_size=window)), expected)


@pytest.mark.parametrize(("window", "grid"), [(6, 4), (5, 2), (5, 4), (4, 1)])
def test_virtual_key_weighs_as_much_as_all_padded_keys(window, grid):
    queries, padded_query, tables = draw(window, grid)
    term = full_window_term(queries, padded_query, tables, window)[:, :grid, :grid, :grid]
    is_padded = torch.ones(window, window, window, dtype=torch.bool)
    is_padded[:grid, :grid, :grid] = False
    expected = term.flatten(4)[..., is_padded.flatten()].logsumexp(-1).flatten(1)
    terms = axis_terms(queries, tables, window_size=window)
    torch.testing.assert_close(padded_keys_bias(terms, padded_query, tables, window_size=window), expected)


def test_virtual_key_stays_finite_where_exponentials_would_overflow():
    queries, padded_query, tables = draw(window=6, grid=4)
    terms = axis_terms(200 * queries, tables, window_size=6)
    assert padded_keys_bias(terms, 200 * padded_query, tables, window_size=6).isfinite().all()
