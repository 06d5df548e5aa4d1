"""Kept points change nothing but the time it takes: a catalog that was asked all along answers as a new one does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_catalog import NAME, START, points, put

from tbbridge import limits
from tbbridge.store import eventfiles
from tbbridge.store.catalog import Catalog

ACTION = st.one_of(
    st.tuples(st.just("append"), st.sampled_from("ab"), st.integers(1, 30)),
    st.tuples(st.just("torn"), st.sampled_from("ab"), st.integers(1, 60)),
    st.tuples(st.just("cut"), st.sampled_from("ab"), st.integers(0, 3)),
    st.tuples(st.just("replace"), st.sampled_from("ab"), st.integers(1, 30)),
    st.tuples(st.just("next file"), st.sampled_from("ab"), st.just(0)),
    st.tuples(st.just("list"), st.sampled_from("ab"), st.just(0)),
    st.tuples(st.just("ask"), st.sampled_from("ab"), st.integers(0, 200)),
)


@pytest.mark.parametrize("kept", [0, 200, 4_000_000])
@given(actions=st.lists(ACTION, max_size=25))
def test_an_old_catalog_answers_as_a_new_one(tmp_path_factory, kept, actions):
    logdir = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SERIES_KEPT_POINTS", kept)
        patch.setattr(limits, "READ_WINDOW_BYTES", 700)
        catalog = Catalog(logdir)
        file = 0
        step = 0
        tail = b""
        put(logdir, "r", START + points("a", 0, 1) + points("b", 0, 1), name=f"tfevents.{file}")
        for action, tag, number in actions:
            path = logdir / "r" / f"tfevents.{file}"
            if action == "append":
                put(logdir, "r", tail + points(tag, step, number), name=path.name, mode="ab")
                step, tail = step + number, b""
            elif action == "torn" and not tail:
                record = points(tag, step, 1)
                put(logdir, "r", record[: min(number, len(record) - 1)], name=path.name, mode="ab")
                step, tail = step + 1, record[min(number, len(record) - 1) :]
            elif action == "cut":
                path.write_bytes(START)
                tail = b""
                catalog.runs()  # a file that was cut and is as long as before when somebody looks is not noticed
            elif action == "replace":
                put(logdir, "r", START + points(tag, step, number), name="new").replace(path)
                step, tail = step + number, b""
            elif action == "next file":
                file, tail = file + 1, b""
                put(logdir, "r", START + points("a", step, 1) + points("b", step, 1), name=f"tfevents.{file}")
            else:
                if action == "ask" and ("scalar", tag) in {(known.kind, known.tag) for known in catalog.run("r")[1]}:
                    bounds = (number, None) if number % 2 else (None, None)
                    ours, fresh = (one.series("r", tag, *bounds) for one in (catalog, Catalog(logdir)))
                    assert ours.steps.tolist() == fresh.steps.tolist()
                    assert np.array_equal(ours.values, fresh.values)
                    assert np.array_equal(ours.wall_times, fresh.wall_times)
                elif action == "list":
                    catalog.runs()


def test_the_same_question_reads_only_what_is_new(tmp_path, monkeypatch):
    seen = []
    real = eventfiles.read_events
    monkeypatch.setattr(eventfiles, "read_events", lambda piece, *rest: seen.append(len(piece)) or real(piece, *rest))
    put(tmp_path, "r", START + points("t", 0, 1000))
    catalog = Catalog(tmp_path)
    assert len(catalog.series("r", "t")) == 1000
    seen.clear()
    more = points("t", 1000, 10)
    put(tmp_path, "r", more, mode="ab")
    assert len(catalog.series("r", "t")) == 1010
    assert len(catalog.series("r", "t", min_step=1005)) == 5
    assert seen == [len(more)]


def test_what_is_kept_is_bounded_and_no_part_of_something_larger(tmp_path, monkeypatch):
    """A tag of ten points must not keep the arrays of all the tags that were read with it."""
    monkeypatch.setattr(limits, "SERIES_KEPT_POINTS", 400)
    put(tmp_path, "r", START + b"".join(points(f"t{number}", 0, 100) for number in range(10)))
    catalog = Catalog(tmp_path)
    for number in range(10):
        assert len(catalog.series("r", f"t{number}")) == 100
    kept = catalog._kept._kept
    assert [tag for _, tag in kept] == ["t8", "t9"]
    assert all(array.base is None for one in kept.values() for array in (one.series.steps, one.series.wall_times))
    assert NAME in str(next(iter(kept))[0])
    put(tmp_path, "big", START + points("t", 0, 1000))
    assert len(catalog.series("big", "t")) == 1000
    assert [tag for _, tag in kept] == ["t8", "t9"]
