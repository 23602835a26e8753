"""A filling station's client, as one would write it with grpcio from the files in `proto/`.

    station.py HOST:PORT FOLDER-OF-GENERATED-MODULES SITE CYLINDER... -- CYLINDER...

It asks what is wrong with the first cylinders together, and for the life of each of the others. It tells what it saw as one
JSON object a line, with what it did in `step`.
"""

import json
import sys
import time

import grpc

server, generated, site = sys.argv[1:4]
cut = sys.argv.index("--")
batch, lives = sys.argv[4:cut], sys.argv[cut + 1:]
sys.path.insert(0, generated)
from vigil.v1 import cylinder_pb2 as cylinder  # noqa: E402
from vigil.v1 import cylinder_pb2_grpc  # noqa: E402
from vigil.v1 import history_pb2 as history  # noqa: E402

PATIENCE_S = 30
SCANS = 6

cylinders = cylinder_pb2_grpc.CylinderServiceStub(grpc.insecure_channel(server))


def tell(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def look_at(codes, **changes):
    fields = {"request_id": "unloaded-1", "site": site, "cylinders": codes}
    return cylinders.CheckBatch(cylinder.CheckBatchRequest(**(fields | changes)))


def refusal(codes, **changes):
    try:
        look_at(codes, **changes)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def life(code):
    """The present code, and each scan with the code it was made of, who has had the cylinder since, and how often it was
    filled by then. The database follows by moments, so it is asked again until it has all of them."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        parts = list(cylinders.TraceCylinder(cylinder.TraceCylinderRequest(cylinder=code)))
        steps = [step for part in parts for step in part.steps if step.item.WhichOneof("item") == "scan"]
        if len(steps) >= SCANS or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    event = history.StoredScan.Event.Name
    scans = [[event(step.item.scan.event).removeprefix("EVENT_").lower(), step.item.scan.cylinder, step.holder, step.fills]
             for step in steps]
    return parts[0].cylinder.code, scans


answer = look_at(batch)
tell("batch", findings=[[it.cylinder, list(it.reasons)] for it in answer.findings])
tell("refusals", codes=[refusal(batch, site="x"), refusal(["no code"])])
for code in lives:
    present, scans = life(code)
    tell("life", by=code, code=present, scans=scans)
