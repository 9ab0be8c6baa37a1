"""Buffers come back only when nothing shares their memory any more, and the pool stays within what was lent at once."""

import copy
import io
import os
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from spikesim.allocator import SWITCH
from spikesim.dynamics import pool as pool_module
from spikesim.dynamics.pool import SMALLEST, BufferPool, empty

PAGE = 4096


def _take(pool, count=1 << 18, dtype=torch.float32):
    return pool.take((count,), dtype)


@pytest.mark.parametrize(
    "holder",
    [
        lambda t: t.view(2, -1),
        lambda t: t[5:9],
        lambda t: t.detach(),
        lambda t: t.numpy()[3:],
        lambda t: t.untyped_storage(),
        lambda t: (t.detach().requires_grad_() ** 2).grad_fn,  # saves what it squares
        lambda t: memoryview(t.numpy()),
        lambda t: torch.from_dlpack(t),
    ],
)
def test_whatever_shares_the_memory_keeps_it_from_being_lent_again(holder):
    pool = BufferPool()
    tensor = _take(pool)
    address, held = tensor.data_ptr(), holder(tensor)
    del tensor
    assert _take(pool).data_ptr() != address
    held = None  # noqa: F841
    pool.state()
    assert address in {t.data_ptr() for t in [_take(pool), _take(pool)]}


def test_layout_dtype_and_alignment():
    pool = BufferPool()
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64):
        tensor = pool.take((4, 3, 8, 8), dtype, (192, 1, 24, 3))
        assert tensor.dtype == dtype and tensor.shape == (4, 3, 8, 8)
        assert tensor.is_contiguous(memory_format=torch.channels_last) and tensor.data_ptr() % 64 == 0
    assert pool.take((4, 3, 8, 8), torch.float32).is_contiguous()


def test_a_lent_tensor_is_an_ordinary_one():
    tensor = _take(BufferPool(), 1000).fill_(2.0)
    assert not tensor._is_view()  # a view that a custom function returns could not be changed in place
    file = io.BytesIO()
    torch.save(tensor, file)
    assert file.tell() < 4000 + 2000
    assert torch.equal(copy.deepcopy(tensor), tensor)
    assert torch.equal(tensor.clone().share_memory_(), tensor)
    assert torch.equal(tensor.share_memory_(), torch.full((1000,), 2.0))
    tensor.resize_(10)
    assert tensor.tolist() == [2.0] * 10


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), min_size=1, max_size=40))
def test_live_tensors_keep_their_values_and_the_pool_its_bound(steps):
    """Each step replaces one of six tensors by one of so many pages."""
    pool, live, most = BufferPool(), {}, 0
    for number, (slot, pages) in enumerate(steps):
        live.pop(slot, None)
        live[slot] = (number, pool.take((pages * PAGE,), torch.uint8).fill_(number))
        state = pool.state()
        most = max(most, state["lent"])
        assert state["lent"] + state["free"] <= most
        assert (
            sum(t.numel() for _, t in live.values()) <= state["lent"] <= sum(t.numel() for _, t in live.values()) / 0.8
        )
        assert all(bool((tensor == value).all()) for value, tensor in live.values())


def test_equal_steps_make_no_new_buffers():
    pool = BufferPool()

    def step(timesteps):
        kept = [_take(pool, timesteps * 100_000) for _ in range(3)]
        return len(kept)

    step(10)
    made = pool.state()["made"]
    for timesteps in (10, 9, 10, 9):  # within a fifth
        step(timesteps)
    assert pool.state()["made"] == made
    step(5)
    assert pool.state()["made"] > made


def test_release_hands_back_what_waits_and_nothing_else():
    pool = BufferPool()
    kept, gone = _take(pool).fill_(1.0), _take(pool)
    del gone
    assert pool.release() == (1 << 18) * 4
    assert pool.state() == {"lent": (1 << 18) * 4, "free": 0, "made": 2}
    assert bool((kept == 1.0).all())


def test_threads_do_not_share_buffers():
    pool, wrong = BufferPool(), []

    def work(value):
        for _ in range(200):
            tensor = _take(pool, 2000).fill_(value)
            other = _take(pool, 2000).fill_(-value)
            if not bool((tensor == value).all() and (other == -value).all()):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(k + 1,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.state()["lent"] == 0


def test_a_forked_process_has_a_copy():
    tensor = pool_module.POOL.take((SMALLEST,), torch.uint8).fill_(1)
    waiting = pool_module.POOL.take((SMALLEST,), torch.uint8)
    del waiting
    child = os.fork()
    if child == 0:
        tensor.numpy()[:] = 2  # torch's thread pool did not come along
        mine = pool_module.POOL.take((SMALLEST,), torch.uint8).numpy()
        mine[:] = 3
        os._exit(0 if mine[-1] == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bool((tensor.numpy() == 1).all())


def _made():
    return pool_module.POOL.state()["made"]


def test_only_large_real_outputs_come_from_the_pool(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    like, shape, form = torch.zeros(2), (SMALLEST // 4,), torch.contiguous_format
    pool_module.POOL.release()
    before = _made()
    empty(like, (SMALLEST // 4 - 1,), torch.float32, form)
    assert empty(like, (0, 3), torch.float32, form).shape == (0, 3)
    with FakeTensorMode() as mode:
        fake = empty(mode.from_tensor(like), shape, torch.float32, form)
        assert type(fake) is not torch.Tensor and fake.shape == shape
    assert empty(torch.zeros(2, device="meta"), shape, torch.float32, form).device.type == "meta"
    monkeypatch.setenv(SWITCH, "0")
    empty(like, shape, torch.float32, form)
    assert _made() == before
    monkeypatch.delenv(SWITCH)
    empty(like, shape, torch.float32, form)
    assert _made() == before + 1
