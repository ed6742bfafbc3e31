/**
 * Started by `parallel.test.ts`, which kills it: one transfer in a process of its own.
 * @module
 */
import { transfer, type Transfer } from "../../../plugins/download/transfer.ts";

await transfer(JSON.parse(process.argv[2]!) as Transfer, { env: {}, signal: new AbortController().signal, log: () => {}, progress: () => {} });
process.exit(0);
