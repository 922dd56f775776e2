// `npx tsx scripts/pin-images.ts`: asks the registries for the digests of all images of others, and writes them where those are named.

import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pinnedFiles } from './images/pins.ts';
import { digestOf } from './images/registry.ts';

const root = resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(resolve(root, file), 'utf8');

const references = new Set(pinnedFiles.flatMap(({ file, references: named }) => named(read(file))));
try {
  const digests = new Map(await Promise.all([...references].map(async (reference) => [reference, await digestOf(reference)] as const)));
  for (const { file, pin } of pinnedFiles) writeFileSync(resolve(root, file), pin(read(file), digests));
  for (const [reference, digest] of digests) process.stdout.write(`${reference}@${digest}\n`);
} catch (error) {
  const { message, cause } = error as Error;
  process.stderr.write(`nothing is changed: ${message}${cause instanceof Error ? ` (${cause.message})` : ''}\n`);
  process.exitCode = 1;
}
