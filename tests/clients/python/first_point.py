import sys

from bridge import Client
from bridge.api.read import read_scalars
from bridge.api.write import write
from bridge.models import RunBatch, ScalarColumns, WriteRequest

client = Client(base_url=sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:6007")
points = ScalarColumns(tag="loss", values=[0.9, 0.7, 0.6])
print(write.sync(client=client, body=WriteRequest(runs=[RunBatch(run="python/first", scalars=[points])])))
print(read_scalars.sync(client=client, run="python/first", tag="loss"))
