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
  /** Regular files whose content goes; owner and mode stay, for a daemon that could not make the file anew. */
  readonly empty?: readonly string[];
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
  | "yum-uuid";

const homes = (...names: readonly string[]): readonly string[] => names.flatMap((name) => [`/root/${name}`, `/home/*/${name}`]);

/**
 * Names and effects follow virt-sysprep(1), "OPERATIONS". `cloud-init` and `random-seed` are additions, and `ssh-userdir`
 * is off here: images of imgtask are entered by the keys that are in them. Without a counterpart are operations that
 * edit files or volumes, or run programs: net-hostname, net-hwaddr, flag-reconfiguration, fs-uuids, lvm-uuids,
 * user-account, customize, script.
 */
export const operations: Readonly<Record<SysprepOperation, Operation>> = {
  "abrt-data": { default: true, remove: ["/var/spool/abrt/*", "/var/tmp/abrt/*"] },
  "backup-files": { default: true, remove: ["/etc/**/*~", "/etc/**/*.bak", "/root/**/*~", "/root/**/*.bak", "/srv/**/*~", "/srv/**/*.bak", "/var/**/*~", "/var/**/*.bak"] },
  "bash-history": { default: true, remove: homes(".bash_history", ".zsh_history", ".python_history", ".lesshst", ".viminfo") },
  "blkid-tab": { default: true, remove: ["/etc/blkid.tab", "/etc/blkid/blkid.tab", "/var/run/blkid/blkid.tab", "/run/blkid/blkid.tab"] },
  "ca-certificates": { default: false, remove: ["/etc/pki/CA/certs/*", "/etc/pki/CA/crl/*", "/etc/pki/CA/newcerts/*", "/etc/pki/CA/private/*", "/etc/pki/tls/private/*", "/etc/ssl/private/*"] },
  "cloud-init": { default: true, remove: ["/var/lib/cloud/instance", "/var/lib/cloud/instances/*", "/var/lib/cloud/data/*", "/var/lib/cloud/sem/*"] },
  "crash-data": { default: true, remove: ["/var/crash/*", "/var/log/dump/*", "/var/lib/systemd/coredump/*"] },
  "cron-spool": { default: true, remove: ["/var/spool/cron/crontabs/*", "/var/spool/cron/root", "/var/spool/at/a*", "/var/spool/at/spool/*", "/var/spool/cron/atjobs/*", "/var/spool/cron/atspool/*", "/var/spool/anacron/*"] },
  "dhcp-client-state": { default: true, remove: ["/var/lib/dhclient/*", "/var/lib/dhcp/dhclient*", "/var/lib/dhcpcd/*", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/internal-*", "/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/timestamps", "/var/lib/NetworkManager/seen-bssids", "/var/lib/systemd/network/*"] },
  "dhcp-server-state": { default: true, remove: ["/var/lib/dhcpd/*", "/var/lib/dhcp/dhcpd*", "/var/lib/kea/*"] },
  "dovecot-data": { default: true, remove: ["/var/lib/dovecot/*"] },
  "firewall-rules": { default: false, remove: ["/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables", "/etc/iptables/*", "/etc/nftables.conf", "/etc/firewalld/services/*", "/etc/firewalld/zones/*", "/etc/ufw/*.rules"] },
  "ipa-client": { default: true, remove: ["/etc/ipa/*", "/var/lib/ipa-client/sysrestore/*", "/var/lib/ipa-client/pki/*"] },
  "kerberos-data": { default: false, remove: ["/var/kerberos/krb5kdc/*", "/var/lib/krb5kdc/*"] },
  "kerberos-hostkeytab": { default: true, remove: ["/etc/krb5.keytab"] },
  "logfiles": {
    default: true,
    remove: ["/var/log/journal/*", "/var/log/**/*.gz", "/var/log/**/*.xz", "/var/log/**/*.zst", "/var/log/**/*.old", "/var/log/**/*.0", "/var/log/**/*.1", "/var/log/**/*-????????", "/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/anaconda-post.log", "/root/initial-setup-ks.cfg", "/root/install.log", "/root/install.log.syslog", "/var/cache/gdm/*", "/var/lib/logrotate.status", "/var/lib/logrotate/status", "/var/lib/AccountService/users/*"],
    empty: ["/var/log/**/*"],
  },
  "lvm-system-devices": { default: true, remove: ["/etc/lvm/devices/system.devices"] },
  "machine-id": { default: true, remove: ["/var/lib/dbus/machine-id"], empty: ["/etc/machine-id"] },
  "mail-spool": { default: true, remove: ["/var/spool/mail/*", "/var/mail/*"] },
  "net-nmconn": { default: true, remove: ["/etc/NetworkManager/system-connections/*.nmconnection"] },
  "pacct-log": { default: true, remove: ["/var/account/pacct*"], empty: ["/var/log/account/pacct"] },
  "package-manager-cache": { default: true, remove: ["/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/*.bin", "/var/lib/apt/lists/*", "/var/cache/dnf/*", "/var/cache/libdnf5/*", "/var/cache/yum/*", "/var/cache/zypp*/*", "/var/cache/pacman/pkg/*"] },
  "pam-data": { default: true, remove: ["/var/run/console/*", "/var/run/faillock/*", "/var/run/sepermit/*", "/var/lib/faillock/*"] },
  "passwd-backups": { default: true, remove: ["/etc/group-", "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/etc/subuid-", "/etc/subgid-"] },
  "puppet-data-log": { default: true, remove: ["/var/log/puppet/*", "/var/lib/puppet/*/*"] },
  "random-seed": { default: true, remove: ["/var/lib/random-seed", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed"] },
  "rh-subscription-manager": { default: true, remove: ["/etc/pki/consumer/*", "/etc/pki/entitlement/*"] },
  "rhn-systemid": { default: true, remove: ["/etc/sysconfig/rhn/systemid", "/etc/sysconfig/rhn/osad-auth.conf"] },
  "rpm-db": { default: true, remove: ["/var/lib/rpm/__db.*"] },
  "samba-db-log": { default: true, remove: ["/var/lib/samba/*.tdb", "/var/lib/samba/*/*", "/var/log/samba/*"] },
  "smolt-uuid": { default: true, remove: ["/etc/sysconfig/hw-uuid", "/etc/smolt/uuid", "/etc/smolt/hw-uuid"] },
  "ssh-hostkeys": { default: true, remove: ["/etc/ssh/*_host_*"] },
  "ssh-userdir": { default: false, remove: homes(".ssh") },
  "sssd-db-log": { default: true, remove: ["/var/log/sssd/*", "/var/lib/sss/db/*"] },
  "tmp-files": { default: true, remove: ["/tmp/*", "/var/tmp/*"] },
  "udev-persistent-net": { default: true, remove: ["/etc/udev/rules.d/70-persistent-net.rules"] },
  "utmp": { default: true, remove: ["/var/run/utmp", "/run/utmp"], empty: ["/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog"] },
  "yum-uuid": { default: true, remove: ["/var/lib/yum/uuid"] },
};
