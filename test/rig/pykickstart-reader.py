"""Reads kickstart files from a JSON list on standard input with pykickstart itself.

Arguments: versions of its grammar. Prints, for each version, what it made of each file: [[{hostname, users, mounts,
packages, sections}…]…], or ends with its complaint.
"""
import json
import sys

from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion


def read(version, text):
    handler = makeVersion(version)
    KickstartParser(handler, missingIncludeIsFatal=True, errorsAreFatal=True).readKickstartFromString(text)
    return {
        "users": [[one.name, str(one.uid or ""), one.shell, one.gecos, one.groups, one.lock] for one in handler.user.userList],
        "root": handler.rootpw.lock,
        "hosts": [one.hostname for one in handler.network.network if one.hostname],
        "devices": [[one.device, one.bootProto, one.ip, one.netmask, one.gateway, one.nameserver] for one in handler.network.network if one.device],
        "language": handler.lang.lang,
        "timezone": handler.timezone.timezone,
        "partitions": [[one.mountpoint, one.fstype, one.size, one.grow] for one in handler.partition.partitions],
        "volumes": [[one.vgname, one.name, one.mountpoint, one.fstype, one.size, one.grow] for one in handler.logvol.lvList],
        "packages": [handler.packages.groupList[0].name, *sorted(handler.packages.packageList)],
        "scripts": [[one.type, one.inChroot, one.errorOnFail, one.script.strip().split("\n")[-1]] for one in handler.scripts],
    }


texts = json.load(sys.stdin)
json.dump([[read(version, text) for text in texts] for version in sys.argv[1:]], sys.stdout)
