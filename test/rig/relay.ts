/**
 * Counts what clients send to a server, from between them: the bytes pass unchanged.
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface Relay {
  readonly port: number;
  /** Bytes from clients since the last call. */
  received(): number;
  /** Resolves as soon as so many bytes have come from clients since the last call of `received`. */
  reached(bytes: number): Promise<void>;
  close(): Promise<void>;
}

/** A port that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when something accepts connections at a port. */
export async function untilListening(port: number, what: string, patience = 30_000): Promise<void> {
  for (const end = Date.now() + patience; Date.now() < end; ) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} does not listen at port ${port}`);
}

export async function relayTo(target: number): Promise<Relay> {
  let count = 0;
  let waiting: { readonly bytes: number; readonly go: () => void } | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (bytes) => {
      count += bytes.length;
      if (waiting === undefined || count < waiting.bytes) return;
      waiting.go();
      waiting = undefined;
    });
    client.pipe(upstream);
    upstream.pipe(client);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received() {
      const all = count;
      count = 0;
      return all;
    },
    reached: (bytes) => new Promise((go) => (waiting = { bytes, go })),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
