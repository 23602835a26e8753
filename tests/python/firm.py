"""A maintenance firm's client, as one would write it with grpcio from the files in `proto/` and docs/records.md.

    firm.py HOST:PORT FOLDER-OF-GENERATED-MODULES RECORDS

It uploads records of as many half-monthly visits, one of them bad, uploads all of them again, corrects the first one and
has that signed, and then checks the first lift's chain with nothing but hashlib. It tells what it saw as one JSON object
a line, with what it did in `step`.
"""

import hashlib
import json
import struct
import sys
import time
from collections import Counter

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

server, generated, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, generated)
from vigil.v1 import history_pb2 as history  # noqa: E402
from vigil.v1 import history_pb2_grpc, maintenance_pb2_grpc  # noqa: E402
from vigil.v1 import maintenance_pb2 as maintenance  # noqa: E402
from vigil.v1 import obligation_pb2 as obligation  # noqa: E402

PATIENCE_S = 60
# The items of a half-monthly visit of a traction lift.
ITEMS = [f"t{number:02}" for number in range(1, 32)]
BAD = 250

channel = grpc.insecure_channel(server)
records = maintenance_pb2_grpc.MaintenanceServiceStub(channel)
timelines = history_pb2_grpc.HistoryServiceStub(channel)
now = int(time.time())


def tell(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def until(look):
    """The database follows by moments, so it is asked again until it has what `look` wants."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(look.__name__)
        time.sleep(0.05)
    return found


def device(n):
    return f"{31100000000000000000 + n}"


def record(n, **changes):
    fields = {
        "firm": "F-1",
        "record": f"2026-{n:05}",
        "device": device(n),
        "kind": maintenance.VISIT_KIND_HALF_MONTH,
        "workers": ["W-1", "W-2"],
        "recorder": "W-1",
        "started_at": Timestamp(seconds=now - 3600),
        "ended_at": Timestamp(seconds=now),
        "items": [maintenance.RecordItem(item=item, result=maintenance.ITEM_RESULT_GOOD) for item in ITEMS],
        "problem": maintenance.PROBLEM_S0,
        "people": [maintenance.RecordPerson(duty="responsible", name="某人", phone="13900000000")],
    }
    return maintenance.MaintenanceRecord(**(fields | changes))


def upload(requests):
    """The answers, in the order of the records."""
    return list(records.UploadRecords(iter(requests)))


def requests():
    for n in range(1, count + 1):
        bad = {"workers": ["W-1"]} if n == BAD else {}
        yield maintenance.UploadRecordsRequest(line=n, record=record(n, **bad))


def outcomes(answers):
    return dict(Counter(maintenance.RecordOutcome.Name(answer.outcome) for answer in answers))


def summary(answer):
    faults = [[fault.field, fault.message] for fault in answer.faults]
    outcome = maintenance.RecordOutcome.Name(answer.outcome)
    return {"line": answer.line, "record": answer.record, "outcome": outcome, "code": answer.code,
            "message": answer.message, "faults": faults, "flags": list(answer.flags)}


def links(of):
    page = records.ListRecords(maintenance.ListRecordsRequest(device=of))
    return list(page.links)


# docs/records.md: what a link is made of.
def text(value):
    raw = value.encode()
    return struct.pack(">I", len(raw)) + raw


def number(value):
    return struct.pack(">q", value)


def some(value, write):
    return b"\x01" + write(value) if value else b"\x00"


def texts(values):
    return struct.pack(">I", len(values)) + b"".join(text(value) for value in values)


def ms(at):
    return at.seconds * 1000 + at.nanos // 1_000_000


def name(enum, value):
    return enum.Name(value).split("_", 2)[2].lower().replace("_", "-")


def bytes_of(link, before):
    if link.WhichOneof("what") == "signature":
        it = link.signature
        return (b"\x01" + text("signature") + before + struct.pack(">Q", link.number) + number(ms(link.recorded_at))
                + text(link_device) + text(it.firm) + text(it.record) + struct.pack(">Q", it.record_number)
                + text(it.signatory) + some(it.note, text))
    stored, it = link.record, link.record.record
    head = (b"\x01" + text("visit") + before + struct.pack(">Q", link.number) + number(ms(link.recorded_at))
            + texts(stored.flags) + bytes.fromhex(stored.people_sha256 or "00" * 32))
    items = b"".join(text(item.item) + text(name(maintenance.ItemResult, item.result)) + some(item.note, text)
                     for item in it.items)
    return (head + text(it.firm) + text(it.record) + text(it.device) + text(name(maintenance.VisitKind, it.kind))
            + texts(it.workers) + text(it.recorder) + number(ms(it.started_at)) + number(ms(it.ended_at))
            + struct.pack(">I", len(it.items)) + items + text(maintenance.Problem.Name(it.problem).split("_")[1])
            + some(it.note, text) + struct.pack(">I", 0) + b"\x00" + some(it.supersedes, text) + texts(it.rectifies))


first = upload(requests())
assert [answer.line for answer in first] == list(range(1, count + 1))
tell("uploaded", outcomes=outcomes(first), refused=[summary(it) for it in first if it.code],
     flags=sorted({flag for answer in first for flag in answer.flags}))
again = upload(requests())
tell("again", outcomes=outcomes(again), position=max(answer.position for answer in again))

other = record(1, note="a lamp was replaced")
changed = upload([maintenance.UploadRecordsRequest(record=other)])[0]
tell("changed", **summary(changed))
correction = record(1, record="2026-00001b", supersedes="2026-00001", note="a lamp was replaced")
corrected = upload([maintenance.UploadRecordsRequest(record=correction)])[0]
tell("corrected", **summary(corrected))
sign = maintenance.SignRecordRequest(request_id="sign-1", device=device(1), firm="F-1", record="2026-00001b",
                                     signatory="officer-1")
signed = records.SignRecord(sign)
tell("signed", again=records.SignRecord(sign).position == signed.position)
try:
    records.SignRecord(maintenance.SignRecordRequest(request_id="sign-2", device=device(1), firm="F-1",
                                                     record="2026-00001", signatory="officer-1"))
except grpc.RpcError as refusal:
    tell("refusal", code=refusal.code().name)

link_device = device(1)
# Lift 3 was seen to three days before, not now.
before = {"started_at": Timestamp(seconds=now - 3 * 86400 - 3600), "ended_at": Timestamp(seconds=now - 3 * 86400)}
earlier = record(3, record="2026-00003b", supersedes="2026-00003", **before)
moved = upload([maintenance.UploadRecordsRequest(record=earlier)])[0]
tell("moved", **summary(moved))

chain = until(lambda: found if len(found := links(link_device)) >= 3 else None)
head, whole = b"\x00" * 32, True
for link in chain:
    head = hashlib.sha256(bytes_of(link, head)).digest()
    whole &= head.hex() == link.link
tell("chain", numbers=[link.number for link in chain], what=[link.WhichOneof("what") for link in chain], whole=whole)

around = {"from": Timestamp(seconds=now - 3600), "to": Timestamp(seconds=now + 3600)}
items = timelines.GetTimeline(history.GetTimelineRequest(subject=link_device, **around)).items
tell("timeline", items=[item.record.WhichOneof("what") for item in items if item.WhichOneof("item") == "record"])


def due(n):
    asked = maintenance.ListDueRequest(device=device(n), kinds=[obligation.DUE_KIND_HALF_MONTH])
    return [[item.due_on, item.basis_on, item.clause, item.firm] for item in records.ListDue(asked).items]


visited_on = time.strftime("%Y-%m-%d", time.gmtime(now + 8 * 3600))
tell("due", visited_on=visited_on, visited=[due(n) for n in (2, count)],
     others=[due(n) for n in (BAD, 3, count + 1, 3000)])
found, token = 0, None
while token != "":
    page = records.ListDue(maintenance.ListDueRequest(
        firm="F-1", kinds=[obligation.DUE_KIND_HALF_MONTH], page_size=1000, page_token=token or ""))
    found, token = found + len(page.items), page.next_page_token
tell("all_due", items=found)
