/**
 * Traces of strace, as recorded or as they might come: every way to name a file is seen, and what is not understood
 * is refused.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathOfDescriptor, StraceReader, textOf, unescapeC } from "../../lib/strace.ts";
import { type Observation, Trace } from "../../lib/accesses.ts";

const begin = `1 access("/m/begin", F_OK) = -1 ENOENT (No such file or directory)`;
const end = `1 access("/m/end", F_OK)   = -1 ENOENT (No such file or directory)`;
const exec = `1 execve("/usr/bin/node", ["node"], 0x1 /* 1 var */) = 0`;

function observe(...lines: readonly string[]): Observation | undefined {
  const trace = new Trace("/m", "/p");
  for (const line of [exec, begin, ...lines, end]) trace.feed(line);
  return trace.take();
}

/** `type path` of each access. */
const seen = (...lines: readonly string[]): readonly string[] => observe(...lines)!.accesses.map(({ type, path }) => `${type} ${path}`);

test("names are unescaped whatever bytes they have", () => {
  assert.equal(unescapeC(String.raw`a\nb\t\"\\\303\244\74\76\0011`), 'a\nb\t"\\ä<>\u00011');
  assert.deepEqual(textOf(String.raw`"a\"b"...`), { text: 'a"b', whole: false });
  assert.equal(textOf("NULL"), undefined);
  assert.equal(pathOfDescriptor("AT_FDCWD</a b>"), "/a b");
  assert.equal(pathOfDescriptor(String.raw`12</a\76\n>(deleted)`), "/a>\n");
  assert.equal(pathOfDescriptor("3<socket:[12]>"), undefined);
});

test("hostile names do not end an argument early", () => {
  assert.deepEqual(seen(String.raw`1 openat(AT_FDCWD</p>, "x\", O_RDONLY) = 3</etc/passwd>\n2 ) = 0", O_RDONLY) = 4</p/x\", O_RDONLY) = 3\74/etc/passwd\76\n2 ) = 0>`), [
    'read /p/x", O_RDONLY) = 3</etc/passwd>\n2 ) = 0',
  ]);
});

test("every way to name a file is seen", () => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    [`1 openat(AT_FDCWD</p>, "a", O_RDONLY|O_CLOEXEC) = 3</p/a>`, "read /p/a"],
    [`1 open("../b", O_RDONLY) = 3</b>`, "read /b"],
    [`1 openat2(5</d>, "c", {flags=O_RDONLY, resolve=RESOLVE_BENEATH}, 24) = 3</d/c>`, "read /d/c"],
    [`1 openat(5</d>, "c", O_RDONLY) = -1 ENOENT (No such file or directory)`, "probe /d/c"],
    [`1 openat(AT_FDCWD</p>, "link", O_RDONLY) = 3</real>`, "read /real"],
    [`1 openat(AT_FDCWD</p>, "gone", O_RDONLY) = 3</p/gone>(deleted)`, "read /p/gone"],
    [`1 openat(AT_FDCWD</p>, "o", O_PATH) = 3</p/o>`, "look /p/o"],
    [`1 openat(AT_FDCWD</p>, "w", O_RDWR|O_CREAT, 0666) = 3</p/w>`, "read /p/w", "write /p/w"],
    [`1 openat(AT_FDCWD</p>, "w", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</p/w>`, "write /p/w"],
    [`1 creat("w", 0666) = 3</p/w>`, "write /p/w"],
    [`1 getdents64(3</p/dir>, 0x5 /* 2 entries */, 32768) = 48`, "list /p/dir"],
    [`1 newfstatat(AT_FDCWD</p>, "s", {st_mode=S_IFREG|0644, st_size=1, ...}, 0) = 0`, "look /p/s"],
    [`1 newfstatat(3</p/s>, "", {st_mode=S_IFREG|0644, st_size=1, ...}, AT_EMPTY_PATH) = 0`],
    [`1 readlink("/p/l", "x", 100) = 1`, "look /p/l"],
    [`1 access("n", F_OK) = -1 ENOENT (No such file or directory)`, "probe /p/n"],
    [`1 rename("a", "/b") = 0`, "write /p/a", "write /b"],
    [`1 renameat2(AT_FDCWD</p>, "a", 4</d>, "b", RENAME_NOREPLACE) = 0`, "write /p/a", "write /d/b"],
    [`1 linkat(AT_FDCWD</p>, "a", AT_FDCWD</p>, "b", 0) = 0`, "read /p/a", "write /p/b"],
    [`1 symlink("/etc/passwd", "s") = 0`, "write /p/s"],
    [`1 unlinkat(4</d>, "u", 0) = 0`, "write /d/u"],
    [`1 fchmod(4</d/f>, 0600) = 0`, "write /d/f"],
    [`1 utimensat(4</d/f>, NULL, NULL, 0) = 0`, "write /d/f"],
    [`1 mkdir("m", 0777) = -1 EEXIST (File exists)`],
    [`1 truncate("t", 0) = 0`, "write /p/t"],
    [`1 execve("./prog", ["./prog"], 0x1 /* 0 vars */) = 0`, "execute /p/prog"],
    [`1 execve("/x/prog", ["prog"], 0x1 /* 0 vars */) = -1 ENOENT (No such file or directory)`, "probe /x/prog"],
    [`1 mount("/host", "r", 0x5, MS_BIND|MS_REC, NULL) = 0`, "mount /host"],
    [`1 mount("tmpfs", "r", "tmpfs", 0, "size=1") = 0`],
    [`1 mount("overlay", "r", "overlay", 0, "lowerdir=/l1:/l2,upperdir=/u") = 0`, "mount /l1", "mount /l2", "mount /u"],
    [`1 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 EINPROGRESS (Operation now in progress)`, "network 192.0.2.1 port 80"],
    [`1 connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.53")}, 16) = 0`],
    [`1 sendto(3<socket:[1]>, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 1`, "network 2001:db8::1 port 53"],
    [`1 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/d.sock"}, 110) = 0`, "socket /run/d.sock"],
    [`1 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path=@"abs"}, 110) = 0`, "socket @abs"],
    [`1 connect(3<socket:[1]>, {sa_family=AF_UNIX, sun_path="/run/no"}, 110) = -1 ENOENT (No such file or directory)`],
    // Finished by another line, with other threads in between.
    [`1 openat(AT_FDCWD</p>, "half" <unfinished ...>\n2 +++ exited with 0 +++\n1 <... openat resumed>, O_RDONLY) = 3</p/half>`, "read /p/half"],
  ];
  for (const [lines, ...expected] of cases) assert.deepEqual(seen(...lines.split("\n").filter((line) => !line.startsWith("2 "))), expected, lines);
});

test("working directories and roots are followed from process to process", () => {
  assert.deepEqual(
    seen(
      `1 chdir("/w") = 0`,
      `1 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD, child_tidptr=0x7) = 5`,
      `5 chdir("sub") = 0`,
      `5 access("x", F_OK) = 0`,
      `1 access("y", F_OK) = 0`,
      `5 fchdir(3</f>) = 0`,
      `5 access("z", F_OK) = 0`,
      // A thread shares; what it does before its start is told waits.
      `6 access("early", F_OK) = 0`,
      `5 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0} => {parent_tid=[6]}, 88) = 6`,
      `6 chdir("/t") = 0`,
      `5 access("shared", F_OK) = 0`,
      `5 vfork( <unfinished ...>`,
      `7 chroot("/image") = 0`,
      `7 chdir("/") = 0`,
      `7 access("/etc/x", F_OK) = -1 ENOENT (No such file or directory)`,
      `7 execve("bin/t", ["t"], 0x1 /* 0 vars */ <unfinished ...>`,
      `5 <... vfork resumed>) = 2 /* 7 in strace's PID NS */`,
      `7 <... execve resumed>) = 0`,
      `7 +++ exited with 0 +++`,
      `5 access("/etc/y", F_OK) = 0`,
    ).map((one) => one.replace(/^(?:look|probe|execute) /, "")),
    ["/w", "/w/sub/x", "/w/y", "/f/z", "/f/early", "/t", "/t/shared", "/image", "/image/etc/x", "/image/bin/t", "/etc/y"].filter((path) => !["/w", "/t", "/image"].includes(path)),
  );
});

test("a thread that executes takes the place of its process", () => {
  const observation = observe(
    `1 clone(child_stack=NULL, flags=SIGCHLD) = 5`,
    `5 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD} => {parent_tid=[6]}, 88) = 6`,
    `6 execve("/usr/bin/cat", ["cat", "a \\"b\\""], 0x1 /* 0 vars */ <unfinished ...>`,
    `5 +++ superseded by execve in pid 6 +++`,
    `5 <... execve resumed>) = 0`,
    `5 openat(AT_FDCWD</p>, "a", O_RDONLY) = 3</p/a>`,
  )!;
  assert.deepEqual(observation.accesses.map(({ type, command }) => `${type} ${command ?? ""}`), ['execute cat a "b"', 'read cat a "b"']);
});

test("what cannot be observed is told", () => {
  const blind = (...lines: readonly string[]): number => observe(...lines)!.blind.length;
  assert.equal(blind(`1 access("x", F_OK) = 0`), 0);
  assert.equal(blind(`1 io_uring_setup(8, {flags=0}) = -1 ENOSYS (Function not implemented) (INJECTED)`), 0);
  assert.equal(blind(`1 io_uring_setup(8, {flags=0}) = 5<anon_inode:[io_uring]>`), 1);
  assert.equal(blind(`1 open_by_handle_at(5</x>, {handle_bytes=8}, O_RDONLY) = 3</x/y>`), 1);
  assert.equal(blind(`1 setns(3<mnt:[4026531840]>, CLONE_NEWNS) = 0`), 1);
  assert.equal(blind(`1 setns(3<net:[4026531840]>, CLONE_NEWNET) = 0`), 0);
  assert.equal(blind(`1 pivot_root(".", "old") = 0`), 1);
  assert.equal(blind(`1 access("cut"..., F_OK) = 0`), 1);
});

test("what was begun at the end belongs to the stretch, and nothing else that comes after", () => {
  const trace = new Trace("/m", "/p");
  const child = [`1 clone(child_stack=NULL, flags=SIGCHLD) = 5`, `1 clone(child_stack=NULL, flags=SIGCHLD) = 6`];
  for (const line of [exec, begin, ...child, `5 openat(AT_FDCWD</p>, "late", O_RDONLY <unfinished ...>`, end]) trace.feed(line);
  assert.equal(trace.take(), undefined);
  trace.feed(`6 openat(AT_FDCWD</p>, "other", O_RDONLY) = 3</p/other>`);
  trace.feed(`5 <... openat resumed>) = 3</p/late>`);
  assert.deepEqual(trace.take()?.accesses.map(({ path }) => path), ["/p/late"]);
  assert.equal(trace.take(), undefined);
});

test("lines that make no sense are refused, wherever a line is cut", () => {
  for (const line of ["what is this", "1 openat(", "1 openat(AT_FDCWD</p>, \"a\"", "1 openat(AT_FDCWD</p, \"a\", O_RDONLY) = 3", "\0\0\0", "1 +++ stopped +++", "1 strace: something"]) {
    assert.throws(() => new StraceReader().read(line), line);
  }
  const whole = String.raw`1 openat(AT_FDCWD</p>, "a\"b", O_RDONLY|O_CLOEXEC) = 3</p/a\"b>`;
  let accepted = 0;
  for (let length = 0; length < whole.length; length++) {
    try {
      const call = new StraceReader().read(whole.slice(0, length));
      if (call !== undefined) accepted++;
    } catch {
      // As it should be.
    }
  }
  // Once there is a result, a line without its last characters looks whole: only the line break tells, which is waited for.
  assert.equal(accepted, whole.length - whole.indexOf("= 3") - 3);
});
