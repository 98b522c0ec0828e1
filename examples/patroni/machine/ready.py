# Runs on the bastion, after a line that defines ASK. Waits until Patroni has one primary and two standbys that stream from it, of which
# one at least confirms every commit, and prints that as JSON.
import json
import ssl
import sys
import time
import urllib.request

context = ssl.create_default_context(cadata=ASK["ca"])


def cluster(address):
    url = "https://%s:8008/cluster" % address
    with urllib.request.urlopen(url, timeout=3, context=context) as answer:
        return json.load(answer)["members"]


def verdict(members):
    leaders = [m for m in members if m["role"] == "leader" and m["state"] == "running"]
    standbys = [m for m in members if m["role"] != "leader" and m["state"] == "streaming"]
    safe = [m for m in standbys if m["role"] in ("sync_standby", "quorum_standby")]
    return len(leaders) == 1 and len(standbys) == len(ASK["addresses"]) - 1 and len(safe) > 0


deadline = time.monotonic() + ASK["timeoutSeconds"]
seen = "nothing"
while time.monotonic() < deadline:
    for address in ASK["addresses"]:
        try:
            members = cluster(address)
        except Exception as error:
            seen = "%s: %s" % (address, error)
            continue
        seen = ", ".join("%(name)s is %(role)s, %(state)s" % m for m in members)
        if verdict(members):
            print(json.dumps([{"name": m["name"], "role": m["role"], "timeline": m["timeline"]} for m in members]))
            sys.exit(0)
    time.sleep(1)
sys.exit("no primary with two standbys after %d s; last seen: %s" % (ASK["timeoutSeconds"], seen))
