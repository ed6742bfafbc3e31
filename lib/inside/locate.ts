/**
 * Says where in a file of a known format a byte is, from the outermost part to the innermost: partition, file system,
 * file. Knows which formats there are; loaded only when two files differ.
 * @module
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ext4 } from "./ext4.ts";
import { gpt } from "./gpt.ts";
import { iso9660 } from "./iso9660.ts";
import { qcow2 } from "./qcow2.ts";
import { tar } from "./tar.ts";
import type { Locate, Reader, View } from "./view.ts";

// An ISO that starts from USB sticks has a partition table as well: its files say more.
const readers: readonly Reader[] = [qcow2, iso9660, gpt, ext4, tar];

/** A place in a file. */
export interface Place {
  /** Names of the parts, the outermost first: `["partition 3 (root)", "/etc/hostname"]`. */
  readonly parts: readonly string[];
  /** Offset in the innermost part in bytes, where that is known. */
  readonly offset: number | undefined;
}

const depth = 6;

/** Tells places of one file; reads its tables once. */
export class Places {
  readonly #fd: number;
  readonly #view: View;
  readonly #locates = new Map<string, Locate | undefined>();

  constructor(file: string) {
    this.#fd = openSync(file, "r");
    const { size } = fstatSync(this.#fd);
    this.#view = {
      size,
      read: (offset, length) => {
        const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
        const read = buffer.length === 0 ? 0 : readSync(this.#fd, buffer, 0, buffer.length, offset);
        return buffer.subarray(0, read);
      },
    };
  }

  /** Where a byte is; no parts for a file of no known format. */
  at(offset: number): Place {
    const parts: string[] = [];
    let view = this.#view, here: number | undefined = offset;
    while (here !== undefined && parts.length < depth) {
      let part;
      try {
        part = this.#locate(parts.join("\0"), view)?.(here);
      } catch {
        // A table that points outside of the file.
      }
      if (part === undefined) break;
      parts.push(part.name);
      here = part.offset;
      if (part.view === undefined) break;
      view = part.view;
    }
    return { parts, offset: here };
  }

  #locate(key: string, view: View): Locate | undefined {
    if (!this.#locates.has(key)) {
      let found: Locate | undefined;
      for (const reader of readers) if ((found = reader(view)) !== undefined) break;
      this.#locates.set(key, found);
    }
    return this.#locates.get(key);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
