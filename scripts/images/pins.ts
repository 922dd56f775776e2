// Where images of others stand in this project, and how they stand there with a digest.

import { parseDocument } from 'yaml';

const DIGEST = /@sha256:[0-9a-f]{64}/;

export interface PinnedFile {
  /** Relative to the repository. */
  readonly file: string;
  /** The references in it, without digests. */
  references(text: string): string[];
  /** The text with the digest of each. */
  pin(text: string, digestOf: ReadonlyMap<string, string>): string;
}

/** `image: name:tag`, `ARG X_IMAGE=name:tag`. Our own images are built, and have no digest before. */
function inLines(file: string, pattern: RegExp): PinnedFile {
  const bare = (reference: string): string => reference.replace(DIGEST, '');
  const isOurs = (reference: string): boolean => reference.startsWith('mcp-gateway');
  return {
    file,
    references: (text) => [...text.matchAll(pattern)].map(([, , reference = '']) => bare(reference)).filter((each) => !isOurs(each)),
    pin: (text, digests) =>
      text.replaceAll(pattern, (line: string, before: string, reference: string) => {
        const digest = digests.get(bare(reference));
        return digest === undefined ? line : `${before}${bare(reference)}@${digest}`;
      }),
  };
}

const chartValues: PinnedFile = {
  file: 'k8s/chart/values.yaml',
  references(text) {
    const images = (parseDocument(text).toJS() as { images: Record<string, { repository?: string; tag?: string }> }).images;
    return Object.values(images).flatMap(({ repository, tag }) => (repository && tag ? [`${repository}:${tag}`] : []));
  },
  pin: (text, digests) =>
    text.replaceAll(
      /(repository: ([^,\s]+), tag: ([^,\s]+), digest: )"[^"]*"/g,
      (line, before: string, repository: string, tag: string) => {
        const digest = digests.get(`${repository}:${tag}`);
        return digest === undefined ? line : `${before}"${digest}"`;
      },
    ),
};

const MANIFEST_LINE = /^(\s+(?:- )?image: )(\S+)$/gm;

export const pinnedFiles: readonly PinnedFile[] = [
  inLines('Containerfile', /^(ARG \w+_IMAGE=)(\S+)$/gm),
  inLines('k8s/base/gateway.yaml', MANIFEST_LINE),
  inLines('k8s/overlays/dev/redis.yaml', MANIFEST_LINE),
  chartValues,
];
