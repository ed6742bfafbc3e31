"""Runs OpenStack Swift of Debian in one process: account, container, object and proxy server, with rings of one device.

object-storage.py DIRECTORY: reads etc/NAME.conf below it, prints one line of JSON: the ports by name.
"""
import json
import os
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import event, wsgi  # noqa: E402
from swift.common import utils  # noqa: E402
from swift.common.http_protocol import SwiftHttpProtocol  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402


def main(directory):
    etc = os.path.join(directory, "etc")
    utils.set_swift_dir(etc)
    utils.validate_hash_conf()
    names = ("account", "container", "object", "proxy")
    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in names}
    ports = {name: one.getsockname()[1] for name, one in sockets.items()}
    for name in names[:3]:
        builder = RingBuilder(1, 1, 1)
        builder.add_dev({"region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": ports[name], "device": "d1"})
        builder.rebalance()
        builder.get_ring().save(os.path.join(etc, name + ".ring.gz"))
    silent = open(os.devnull, "w")
    for name in names:
        app = loadapp(os.path.join(etc, name + ".conf"))
        eventlet.spawn(wsgi.server, sockets[name], app, silent, protocol=SwiftHttpProtocol)
    print(json.dumps(ports), flush=True)
    event.Event().wait()


main(sys.argv[1])
