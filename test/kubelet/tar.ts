// Writes a tar archive, with the hash of its bytes: only what an image of a container is made of.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';

const BLOCK = 512;
const CHUNK = 4 * 1024 * 1024;
const LONGEST_NAME = 100;
const TYPES = { file: '0', link: '2', folder: '5', attributes: 'x' } as const;

export interface Tar {
  folder(name: string): void;
  link(name: string, target: string): void;
  bytes(name: string, bytes: Buffer, mode?: number): void;
  /** Copies a file of the host, without holding it in memory. */
  copy(name: string, path: string, mode?: number): void;
  /** The SHA-256 of the whole archive, in hex. */
  finish(): string;
}

export function createTar(path: string): Tar {
  const file = openSync(path, 'w');
  const hash = createHash('sha256');
  const write = (bytes: Buffer): void => {
    hash.update(bytes);
    writeSync(file, bytes);
  };
  const pad = (size: number): void => {
    if (size % BLOCK !== 0) write(Buffer.alloc(BLOCK - (size % BLOCK)));
  };
  const entry = (header: Header): void => {
    const long = [
      ['path', header.name],
      ['linkpath', header.target ?? ''],
    ].filter(([, value]) => Buffer.byteLength(value as string) > LONGEST_NAME);
    if (long.length > 0) {
      const bytes = Buffer.from(long.map(([key, value]) => attribute(`${key}=${value}`)).join(''));
      write(headerBlock({ name: 'attributes', type: 'attributes', mode: 0o644, size: bytes.length }));
      write(bytes);
      pad(bytes.length);
    }
    write(headerBlock(header));
  };
  return {
    folder: (name) => entry({ name: `${name}/`, type: 'folder', mode: name === 'tmp' ? 0o1777 : 0o755, size: 0 }),
    link: (name, target) => entry({ name, type: 'link', mode: 0o777, size: 0, target }),
    bytes(name, bytes, mode = 0o644) {
      entry({ name, type: 'file', mode, size: bytes.length });
      write(bytes);
      pad(bytes.length);
    },
    copy(name, from, mode = 0o755) {
      const { size } = statSync(from);
      entry({ name, type: 'file', mode, size });
      const source = openSync(from, 'r');
      const chunk = Buffer.alloc(Math.min(CHUNK, Math.max(size, 1)));
      for (let left = size; left > 0; ) {
        const read = readSync(source, chunk, 0, Math.min(chunk.length, left), null);
        if (read === 0) throw new Error(`${from} became shorter while it was read`);
        write(chunk.subarray(0, read));
        left -= read;
      }
      closeSync(source);
      pad(size);
    },
    finish() {
      write(Buffer.alloc(2 * BLOCK));
      closeSync(file);
      return hash.digest('hex');
    },
  };
}

interface Header {
  readonly name: string;
  readonly type: keyof typeof TYPES;
  readonly mode: number;
  readonly size: number;
  readonly target?: string;
}

/** POSIX.1-1988 (ustar), owned by root, of no time. */
function headerBlock({ name, type, mode, size, target = '' }: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
  block.write(name, 0, LONGEST_NAME, 'utf8');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(TYPES[type], 156, 'latin1');
  block.write(target, 157, LONGEST_NAME, 'utf8');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `length key=value\n`, where the length counts its own digits. */
function attribute(text: string): string {
  const rest = Buffer.byteLength(text) + 2;
  let length = rest + 1;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return `${length} ${text}\n`;
}
