/**
 * What makes a machine one certain machine: the files that `sysprep()` removes or empties, by the names of virt-sysprep.
 * Data; knows nothing of how they are removed.
 * @module
 */

/** One operation: patterns of absolute paths. `*` is any part of one name, dot files too; `**` any number of directories. */
export interface Operation {
  /** Whether it is done unless switched off. */
  readonly default: boolean;
  /** Removed, directories with all that is in them. */
  readonly remove?: readonly string[];
  /** Removed where it is no directory. */
  readonly files?: readonly string[];
  /** Removed as well, though virt-sysprep leaves it. */
  readonly also?: readonly string[];
  /** Regular files whose content goes; owner and mode stay, for a daemon that could not make the file anew. */
  readonly empty?: readonly string[];
  /** Paths that stay. */
  readonly except?: readonly string[];
}

/** Name of an operation. */
export type SysprepOperation =
  | "abrt-data"
  | "backup-files"
  | "bash-history"
  | "blkid-tab"
  | "ca-certificates"
  | "cloud-init"
  | "crash-data"
  | "cron-spool"
  | "dhcp-client-state"
  | "dhcp-server-state"
  | "dovecot-data"
  | "firewall-rules"
  | "ipa-client"
  | "kerberos-data"
  | "kerberos-hostkeytab"
  | "logfiles"
  | "lvm-system-devices"
  | "machine-id"
  | "mail-spool"
  | "net-nmconn"
  | "other-histories"
  | "pacct-log"
  | "package-manager-cache"
  | "pam-data"
  | "passwd-backups"
  | "puppet-data-log"
  | "random-seed"
  | "rh-subscription-manager"
  | "rhn-systemid"
  | "rpm-db"
  | "samba-db-log"
  | "smolt-uuid"
  | "ssh-hostkeys"
  | "ssh-userdir"
  | "sssd-db-log"
  | "tmp-files"
  | "udev-persistent-net"
  | "utmp"
  | "yum-uuid"
  | "zsh-history";

const homes = (...names: readonly string[]): readonly string[] => names.flatMap((name) => [`/root/${name}`, `/home/*/${name}`]);

/**
 * Names and paths are those of virt-sysprep's source (guestfs-tools, sysprep/sysprep_operation_*.ml; virt-sysprep(1),
 * "OPERATIONS"). `cloud-init`, `other-histories` and `random-seed` are additions, as is all that is in `also`; `ssh-userdir`
 * is off here: images of imgtask are entered by the keys that are in them. plugins/disk/sysprep.md compares, and says
 * what is not done.
 */
export const operations: Readonly<Record<SysprepOperation, Operation>> = {
  "abrt-data": { default: true, remove: ["/var/spool/abrt/*"], also: ["/var/tmp/abrt/*"] },
  "backup-files": { default: true, files: ["/etc", "/root", "/srv", "/tmp", "/var"].flatMap((directory) => [`${directory}/**/*.bak`, `${directory}/**/*~`]) },
  "bash-history": { default: true, files: homes(".bash_history") },
  "blkid-tab": { default: true, files: ["/var/run/blkid.tab", "/etc/blkid/blkid.tab", "/etc/blkid.tab", "/dev/.blkid.tab"].flatMap((file) => [file, `${file}.old`]), also: ["/run/blkid/blkid.tab", "/run/blkid/blkid.tab.old"] },
  "ca-certificates": {
    default: false,
    files: ["/etc/pki/CA/certs/*.crt", "/etc/pki/CA/crl/*.crt", "/etc/pki/CA/newcerts/*.crt", "/etc/pki/CA/private/*.key", "/etc/pki/tls/private/*.key", "/etc/pki/tls/certs/*.crt"],
    also: ["/etc/ssl/private/*.key"],
    except: ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/pki/tls/certs/ca-bundle.trust.crt"],
  },
  "cloud-init": { default: true, also: ["/var/lib/cloud/instance", "/var/lib/cloud/instances/*", "/var/lib/cloud/data/*", "/var/lib/cloud/sem/*"] },
  "crash-data": { default: true, remove: ["/var/crash/*", "/var/log/dump/*"], also: ["/var/lib/systemd/coredump/*"] },
  // The counter of at(1) stays: without a job it counts nothing, and a file without a number would be an error.
  "cron-spool": {
    default: true,
    files: ["/var/spool/cron/**/*", "/var/spool/atjobs/*", "/var/spool/atspool/*", "/var/spool/at/**/*"],
    also: ["/var/spool/anacron/*"],
    except: ["/var/spool/cron/atjobs/.SEQ", "/var/spool/atjobs/.SEQ", "/var/spool/at/.SEQ"],
  },
  "dhcp-client-state": {
    default: true,
    remove: ["/var/lib/dhclient/*", "/var/lib/dhcp/*"],
    also: ["/var/lib/dhcpcd/*", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/internal-*", "/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/timestamps", "/var/lib/NetworkManager/seen-bssids", "/var/lib/systemd/network/*"],
  },
  "dhcp-server-state": { default: true, remove: ["/var/lib/dhcpd/*"], also: ["/var/lib/kea/*"] },
  "dovecot-data": { default: true, files: ["/var/lib/dovecot/*"] },
  "firewall-rules": {
    default: false,
    files: ["/etc/sysconfig/iptables", "/etc/firewalld/services/*", "/etc/firewalld/zones/*"],
    also: ["/etc/sysconfig/ip6tables", "/etc/iptables/*", "/etc/nftables.conf", "/etc/ufw/*.rules"],
  },
  "ipa-client": {
    default: true,
    files: ["/etc/ipa/ca.crt", "/etc/ipa/default.conf", "/var/lib/ipa-client/sysrestore/*", "/var/lib/ipa-client/pki/*", "/etc/pki/ca-trust/source/anchors/ipa-ca.crt", "/usr/local/share/ca-certificates/ipa-ca.crt", "/etc/pki/ca-trust/source/ipa.p11-kit"],
  },
  "kerberos-data": { default: false, files: ["/var/kerberos/krb5kdc/*"], also: ["/var/lib/krb5kdc/*"], except: ["/var/kerberos/krb5kdc/kadm5.acl", "/var/kerberos/krb5kdc/kdc.conf"] },
  "kerberos-hostkeytab": { default: true, files: ["/etc/krb5.keytab"] },
  "logfiles": {
    default: true,
    remove: [
      "/var/log/*.log*",
      ...["btmp*", "cron*", "dmesg*", "lastlog*", "maillog*", "messages*", "secure*", "spooler*", "tallylog*", "wtmp*", "debug*", "syslog*", "faillog*", "firewalld*", "grubby*", "xferlog*", "aptitude*", "ntp", "anaconda.syslog"].map((name) => `/var/log/${name}`),
      ...["audit", "mail", "anaconda", "installer", "sa", "gdm", "lightdm", "ntpstats", "rhsm", "journal", "apt", "exim4", "ConsoleKit"].map((name) => `/var/log/${name}/*`),
      ...["apache2/*_log", "apache2/*_log-*", "tuned/tuned.log", "BackupPC/LOG", "ceph/*.log", "chrony/*.log", "cups/*_log*", "glusterfs/*glusterd.vol.log", "glusterfs/glusterfs.log", "httpd/*log", "jetty/jetty-console.log", "ppp/connect-errors", "setroubleshoot/*.log", "squid/*.log"].map((name) => `/var/log/${name}`),
      ...["libxl/*.log", "libvirtd.log", "lxc/*.log", "qemu/*.log", "uml/*.log"].map((name) => `/var/log/libvirt/${name}`),
      ...["install.log", "install.log.syslog", "anaconda-ks.cfg", "anaconda-post.log", "initial-setup-ks.cfg", "original-ks.cfg"].map((name) => `/root/${name}`),
      ...["cnf", "crt", "csr", "pem", "srl"].map((name) => `/etc/Pegasus/*.${name}`),
      "/var/named/data/named.run", "/var/lib/logrotate.status", "/var/cache/gdm/*", "/var/lib/AccountService/users/*", "/var/lib/fprint/*", "/var/cache/fontconfig/*", "/var/cache/man/*",
    ],
    also: [...["gz", "xz", "zst", "old", "0", "1"].map((name) => `/var/log/**/*.${name}`), "/var/log/**/*-????????", "/var/lib/logrotate/status"],
    // Whatever else there is: also logs of programs that nobody has on a list.
    empty: ["/var/log/**/*"],
  },
  "lvm-system-devices": { default: true, files: ["/etc/lvm/devices/system.devices"] },
  "machine-id": { default: true, empty: ["/etc/machine-id", "/var/lib/dbus/machine-id"] },
  "mail-spool": { default: true, remove: ["/var/spool/mail/*", "/var/mail/*"] },
  "net-nmconn": { default: true, files: ["/etc/NetworkManager/system-connections/*.nmconnection"] },
  "other-histories": { default: true, also: homes(".python_history", ".lesshst", ".viminfo", ".mysql_history", ".psql_history") },
  "pacct-log": { default: true, files: ["/var/account/pacct?*", "/var/log/account/pacct?*"], empty: ["/var/account/pacct", "/var/log/account/pacct"] },
  "package-manager-cache": {
    default: true,
    files: ["/var/cache/apt/archives/**/*", "/var/cache/dnf/**/*", "/var/cache/yum/**/*", "/var/cache/zypp*/**/*"],
    also: ["/var/cache/apt/*.bin", "/var/lib/apt/lists/*", "/var/cache/libdnf5/*", "/var/cache/pacman/pkg/*"],
  },
  "pam-data": { default: true, files: ["/var/run/console/*", "/var/run/faillock/*", "/var/run/sepermit/*"], also: ["/var/lib/faillock/*"] },
  "passwd-backups": { default: true, files: ["/etc/group-", "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/etc/subuid-", "/etc/subgid-"] },
  "puppet-data-log": { default: true, files: ["/var/log/puppet/*", "/var/lib/puppet/*/*", "/var/lib/puppet/*/*/*"] },
  "random-seed": { default: true, also: ["/var/lib/random-seed", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed"] },
  "rh-subscription-manager": { default: true, remove: ["/etc/pki/consumer/*", "/etc/pki/entitlement/*"] },
  "rhn-systemid": { default: true, files: ["/etc/sysconfig/rhn/systemid", "/etc/sysconfig/rhn/osad-auth.conf"] },
  "rpm-db": { default: true, files: ["/var/lib/rpm/__db.*"] },
  "samba-db-log": { default: true, files: ["/var/log/samba/old/*", "/var/log/samba/*", "/var/lib/samba/*/*", "/var/lib/samba/*"] },
  "smolt-uuid": { default: true, files: ["/etc/sysconfig/hw-uuid", "/etc/smolt/uuid", "/etc/smolt/hw-uuid"] },
  "ssh-hostkeys": { default: true, files: ["/etc/ssh/*_host_*"] },
  "ssh-userdir": { default: false, remove: homes(".ssh") },
  "sssd-db-log": { default: true, files: ["/var/log/sssd/*", "/var/lib/sss/db/*"] },
  "tmp-files": { default: true, remove: ["/tmp/*", "/var/tmp/*"] },
  "udev-persistent-net": { default: true, files: ["/etc/udev/rules.d/70-persistent-net.rules"] },
  "utmp": { default: true, files: ["/var/run/utmp"], also: ["/run/utmp"], empty: ["/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog"] },
  "yum-uuid": { default: true, files: ["/var/lib/yum/uuid"] },
  "zsh-history": { default: true, files: homes(".zsh_history") },
};

/** Operations of virt-sysprep that are not done, and why: all of them edit files or volumes, or run programs. */
export const notDone: Readonly<Record<string, string>> = {
  "customize": "runs programs in the image: `rootfs()`, `ansible()` and `machine()` do, before there is a disk",
  "flag-reconfiguration": "off in virt-sysprep, too: makes the first boot ask questions on the console",
  "fs-uuids": "off in virt-sysprep, too: breaks what names file systems by UUID; those of `disk()` follow from the target's name",
  "lvm-uuids": "volumes are not looked into: a root on LVM is refused",
  "net-hostname": "edits `ifcfg-*` of older Red Hat systems",
  "net-hwaddr": "edits `ifcfg-*` of older Red Hat systems",
  "script": "runs programs on the host: a target of one's own does",
  "user-account": "off in virt-sysprep, too: accounts of an image are those of its machine",
};
