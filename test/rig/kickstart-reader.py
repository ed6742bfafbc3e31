"""Reads kickstart files from a JSON list on standard input as pykickstart's parser does, strictly, without it.

Lines are split by Python's own shlex in POSIX mode with comments, which is what pykickstart calls; sections go from a
line that starts with "%" to "%end". Commands and options are those of the Kickstart documentation that imgtask
writes; any other one is an error. Prints [[argv…], [[section, [line…]]…]] for each file.
"""
import json
import shlex
import sys

COMMANDS = {
    "text": set(), "cdrom": set(), "url": {"--url"}, "lang": set(), "keyboard": {"--vckeymap"}, "timezone": {"--utc"},
    "network": {"--device", "--activate", "--onboot", "--bootproto", "--ip", "--netmask", "--gateway", "--ipv6", "--ipv6gateway", "--nameserver",
                "--ipv4-dns-search", "--noipv4", "--noipv6", "--hostname"},
    "rootpw": {"--lock"}, "user": {"--name", "--shell", "--lock", "--uid", "--gid", "--gecos", "--groups"},
    "selinux": {"--enforcing", "--permissive", "--disabled"}, "firewall": {"--enabled"}, "firstboot": {"--disable"}, "eula": {"--agreed"}, "skipx": set(),
    "ignoredisk": {"--only-use"}, "zerombr": set(), "clearpart": {"--all", "--initlabel", "--disklabel", "--drives"}, "bootloader": {"--boot-drive"},
    "autopart": {"--type", "--fstype", "--nohome", "--noswap"}, "reqpart": set(), "part": {"--fstype", "--size", "--grow"}, "volgroup": set(),
    "logvol": {"--vgname", "--name", "--fstype", "--size", "--grow"}, "poweroff": set(), "reboot": set(),
}
SECTIONS = {"%pre": set(), "%packages": set(), "%post": {"--nochroot", "--erroronfail", "--log"}}


def options(argv, known):
    for word in argv[1:]:
        if word.startswith("-") and word.split("=")[0] not in known:
            raise ValueError(f"unknown option {word!r} of {argv[0]}")


def read(text):
    commands, sections, inside = [], [], None
    for line in text.split("\n"):
        if inside is not None:
            if line.strip() == "%end":
                inside = None
            elif line.lstrip().startswith("%"):
                raise ValueError(f"section within a section: {line!r}")
            else:
                inside.append(line)
            continue
        argv = shlex.split(line, comments=True)
        if not argv:
            continue
        if argv[0].startswith("%"):
            options(argv, SECTIONS[argv[0]])
            inside = []
            sections.append([argv[0], inside])
        else:
            options(argv, COMMANDS[argv[0]])
            commands.append(argv)
    if inside is not None:
        raise ValueError("a section does not end")
    return [commands, sections]


json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
