#!/usr/bin/python3
"""Brings this machine's configuration and keys to what the parameter store says, by the machine's own role.

The table of files is /etc/patroni-machine.json. Nothing of their contents is printed. With --reload, those who use a file that changed
are told.
"""

import json
import os
import pwd
import subprocess
import sys

import boto3


def write(file, owner, mode, content):
    """Replaces a file as a whole, unless it says the same already."""
    try:
        with open(file, encoding="utf-8") as current:
            if current.read() == content:
                return False
    except FileNotFoundError:
        pass
    os.makedirs(os.path.dirname(file), mode=0o755, exist_ok=True)
    user = pwd.getpwnam(owner)
    handle = os.open(file + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as new:
        os.fchown(new.fileno(), user.pw_uid, user.pw_gid)
        os.fchmod(new.fileno(), mode)
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    os.rename(file + ".new", file)
    return True


def main():
    with open("/etc/patroni-machine.json", encoding="utf-8") as table:
        machine = json.load(table)
    files = machine["files"]
    store = boto3.client("ssm", region_name=machine["region"])
    answer = store.get_parameters(Names=list(files), WithDecryption=True)
    if answer["InvalidParameters"]:
        sys.exit("the parameter store does not have " + ", ".join(answer["InvalidParameters"]))
    users = set()
    for parameter in answer["Parameters"]:
        entry = files[parameter["Name"]]
        if write(entry["file"], entry["owner"], int(entry["mode"], 8), parameter["Value"]):
            print("wrote", entry["file"])
            users.add(entry["usedBy"])
    if "ssh" in users:
        subprocess.run(["systemctl", "try-restart", "ssh.service"], check=True)
    if "patroni" in users and "--reload" in sys.argv[1:]:
        # PostgreSQL, too, reads its certificate again.
        subprocess.run(["systemctl", "try-reload-or-restart", "patroni.service"], check=True)


main()
