/**
 * Talks to a running QEMU in its machine protocol (QMP) over a Unix socket.
 * Knows no command by name except the handshake.
 * @module
 */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ImgtaskError } from "../../lib/mod.ts";

/** Connects to a Unix socket that another process is about to make. */
export async function connectSoon(path: string, milliseconds: number, signal: AbortSignal): Promise<Socket> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(path);
        socket.once("connect", () => {
          socket.off("error", reject);
          socket.on("error", () => {}); // The peer may vanish; `close` tells.
          resolve(socket);
        });
        socket.once("error", reject);
      });
    } catch (error) {
      if (Date.now() > deadline) throw new ImgtaskError("IMG3502", "The emulator did not open its control socket", { cause: error });
      await sleep(50);
    }
  }
}

/** Milliseconds that an emulator gets to answer; a busy host is slow, a hung emulator is for ever. */
const patience = 30_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** One QMP connection. */
export class Qmp {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #buffer = "";
  /** Why the machine stopped by itself, as QEMU says: `guest-reset`, `guest-shutdown`, `guest-panic` … */
  stopped: string | undefined;

  /** @param socket connected; nothing read from it yet. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#read(text));
    socket.on("close", () => {
      for (const one of this.#waiting.values()) one.reject(new ImgtaskError("IMG3502", "The emulator closed its control socket"));
      this.#waiting.clear();
    });
  }

  #read(text: string): void {
    this.#buffer += text;
    const lines = this.#buffer.split("\n");
    this.#buffer = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() === "") continue;
      const message = JSON.parse(line) as {
        readonly id?: number;
        readonly return?: unknown;
        readonly error?: { readonly class: string; readonly desc: string };
        readonly event?: string;
        readonly data?: { readonly reason?: string };
      };
      if (message.event === "SHUTDOWN") this.stopped = message.data?.reason ?? "shutdown";
      const one = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if (one === undefined) continue;
      this.#waiting.delete(message.id!);
      if (message.error === undefined) one.resolve(message.return);
      else one.reject(new ImgtaskError("IMG3502", `The emulator refused a command: ${message.error.desc}`));
    }
  }

  /** Sends a command and waits for its answer. The first one must be `qmp_capabilities`. */
  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new ImgtaskError("IMG3502", "The emulator is gone"));
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ImgtaskError("IMG3502", `The emulator did not answer "${command}" within ${patience / 1000} s`));
      }, patience);
      this.#waiting.set(id, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
