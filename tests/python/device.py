"""A lift's terminal, as a maker would write one with paho-mqtt.

    device.py PORT DEVICE FOLDER-OF-GENERATED-MODULES

It connects, says that it is online, and then does what each line on standard input asks for: `trapped` (JSON) or
`freed` (protobuf). It answers a line with `done` once the broker has acknowledged the report. Commands that come down it
carries out at once, unless they have expired, and says so.
"""

import json
import sys
import time
from datetime import datetime, timezone

import paho.mqtt.client as mqtt

port, device, generated = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.path.insert(0, generated)
from vigil.v1 import telemetry_pb2 as telemetry  # noqa: E402

TOPIC = f"vigil/v1/elevator/{device}"


def now_ms():
    return time.time_ns() // 1_000_000


def trapped():
    standing = {
        "boot": 7, "mode": "normal", "car": "stopped", "direction": "none", "door_zone": False, "door": "closed",
        "passenger": True, "floor": 12, "floor_label": "十二", "load_kg": 140,
    }
    moved = {
        "boot": 7, "seq": 1, "observed_at_ms": now_ms() - 200, "mode": "normal", "car": "running", "direction": "up",
        "door": "closed", "passenger": True, "speed_mm_s": 1600, "extras": {"vibration_mg": 423.20917087271323},
    }
    stuck = standing | {"seq": 2, "observed_at_ms": now_ms(), "faults": ["04"], "conditions": ["trapped"]}
    return json.dumps({"device": device, "frames": [moved, stuck]}, ensure_ascii=False).encode()


def freed():
    report = telemetry.ElevatorReport(device=device)
    frame = report.frames.add(boot=7, seq=3, observed_at_ms=now_ms(), cleared=["trapped", "04"])
    frame.mode = telemetry.MODE_NORMAL
    frame.car = telemetry.CAR_STOPPED
    frame.door_zone = True
    frame.door = telemetry.DOOR_OPEN
    frame.passenger = False
    frame.floor = 12
    return report.SerializeToString()


REPORTS = {"trapped": trapped, "freed": freed}


def publish(client, topic, payload, retain=False):
    client.publish(f"{TOPIC}/{topic}", payload, qos=1, retain=retain).wait_for_publish(timeout=30)
    print("done", flush=True)


def carry_out(client, _userdata, message):
    command = json.loads(message.payload)
    expires_at = datetime.fromisoformat(command["expires_at"])
    ok = command["command"] == "reassure" and datetime.now(timezone.utc) < expires_at
    client.publish(f"{TOPIC}/result", json.dumps({"id": command["id"], "ok": ok}), qos=1)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv311)
client.will_set(f"{TOPIC}/status", "offline", qos=1, retain=True)
client.on_message = carry_out
client.on_connect = lambda client, *_: client.subscribe(f"{TOPIC}/command", qos=1)
client.connect("127.0.0.1", port, keepalive=20)
client.loop_start()
publish(client, "status", "online", retain=True)
for line in sys.stdin:
    publish(client, "report", REPORTS[line.strip()]())
