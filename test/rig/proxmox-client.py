"""Looks at a Proxmox VE by Debian's python3-proxmoxer: a client that is not ours.

list URL CA NODE STORAGE CONTENT           prints volumes as JSON
upload URL CA NODE STORAGE CONTENT FILE    sends a file
delete URL CA NODE STORAGE VOLID           removes a volume
The token is in the environment: USER, NAME, SECRET.
"""
import json
import os
import sys
import time
from urllib.parse import urlparse

from proxmoxer import ProxmoxAPI

verb, url, ca, node, storage, *rest = sys.argv[1:]
# The client takes a host and a port.
api = ProxmoxAPI(urlparse(url).netloc, user=os.environ["PVE_USER"], token_name=os.environ["PVE_NAME"], token_value=os.environ["PVE_SECRET"], verify_ssl=ca, timeout=30)
place = api.nodes(node).storage(storage)


def wait(task):
    while True:
        status = api.nodes(task.split(":")[1]).tasks(task).status.get()
        if status["status"] == "stopped":
            return print(status["exitstatus"])
        time.sleep(0.05)


if verb == "list":
    print(json.dumps(place.content.get(content=rest[0])))
elif verb == "upload":
    with open(rest[1], "rb") as file:
        wait(place.upload.create(content=rest[0], filename=file))
elif verb == "delete":
    wait(place.content(rest[0]).delete())
