/**
 * One writer per project: a lock that the kernel gives back when its holder dies, however it dies.
 * Knows nothing of what is protected.
 *
 * The lock is an abstract Unix socket named after the device and inode of the state directory. Binding it is
 * atomic, it leaves no file behind, and whoever waits is woken by the kernel when the holder's end closes. It is
 * seen by all processes of one network namespace; see lib/DESIGN.md for what that means for containers.
 * @module
 */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { digestOf } from "./digest.ts";

/** A held lock. */
export interface Lock {
  release(): Promise<void>;
}

function tryListen(name: string, waiters: Set<Socket>): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    // A waiter's connection is kept open and silent: that it ends is the message.
    const server = createServer((socket) => {
      waiters.add(socket);
      socket.on("error", () => {}).on("close", () => waiters.delete(socket)).resume().unref();
    });
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}

function waitForEnd(name: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(name);
    const done = (): void => {
      signal.removeEventListener("abort", done);
      socket.destroy();
      resolve();
    };
    socket.on("error", () => setTimeout(done, 20)).on("close", done).resume();
    signal.addEventListener("abort", done, { once: true });
  });
}

/**
 * Takes the lock of a state directory, waiting for its holder when there is one.
 *
 * @param waiting called once, with who holds it, when there is something to wait for
 * @returns the lock, or `undefined` when `signal` aborted before it was free
 */
export async function takeLock(
  directory: string,
  options: { readonly purpose: string; readonly signal: AbortSignal; readonly waiting: (holder: string) => void },
): Promise<Lock | undefined> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { dev, ino } = statSync(directory, { bigint: true });
  const name = `\0imgtask-${digestOf(`${dev} ${ino}`).slice(0, 32)}`;
  const note = join(directory, "lock");
  let told = false;
  while (!options.signal.aborted) {
    const waiters = new Set<Socket>();
    const server = await tryListen(name, waiters);
    if (server !== undefined) {
      try {
        writeFileSync(note, `process ${process.pid}, ${options.purpose}\n`, { mode: 0o600 });
      } catch {
        // It only helps those who wait to know for whom.
      }
      return {
        release: () =>
          new Promise((resolve) => {
            rmSync(note, { force: true });
            server.close(() => resolve());
            for (const socket of waiters) socket.destroy();
          }),
      };
    }
    if (!told) {
      told = true;
      let holder = "another imgtask";
      try {
        holder = readFileSync(note, "utf8").trim() || holder;
      } catch {
        // It has just begun, or just ended.
      }
      options.waiting(holder);
    }
    await waitForEnd(name, options.signal);
  }
  return undefined;
}
