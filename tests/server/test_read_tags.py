"""GET /api/v1/tags: every tag with the runs that have it, as the files and the last write say."""

from __future__ import annotations


async def test_every_tag_is_listed_with_its_runs_and_counts(client):
    assert (await client.get("/api/v1/tags")).json() == {"runs": [], "tags": []}
    body = {
        "runs": [
            {"run": "b", "scalars": [{"tag": "loss", "steps": [1, 2], "values": [1, 2]}]},
            {"run": "a/x", "scalars": [{"tag": "loss", "values": [1]}, {"tag": "acc", "values": [1]}]},
            {"run": "b", "summaries": [{"kind": "text", "tag": "note", "step": 1, "text": "hello"}]},
        ]
    }
    assert (await client.post("/api/v1/write", json=body)).status_code == 200
    assert (await client.get("/api/v1/tags")).json() == {
        "runs": ["a/x", "b"],
        "tags": [
            {"tag": "acc", "kind": "scalar", "runs": [0], "counts": [1]},
            {"tag": "loss", "kind": "scalar", "runs": [0, 1], "counts": [1, 2]},
            {"tag": "note", "kind": "text", "runs": [1], "counts": [1]},
        ],
    }
    assert (await client.delete("/api/v1/runs", params={"run": "b", "tag": "loss"})).status_code == 200
    left = (await client.get("/api/v1/tags")).json()["tags"]
    assert [(tag["tag"], tag["runs"]) for tag in left] == [("acc", [0]), ("loss", [0]), ("note", [1])]
