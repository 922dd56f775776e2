// The files of k8s/chart that are made from others: its values' schema, the custom resources, and the rules of who may do what.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { crdFiles } from '../crd/crds.ts';
import { valuesSchema } from './values-schema.ts';

const root = resolve(import.meta.dirname, '../..');

export const chartFiles = [
  { file: 'k8s/chart/values.schema.json', content: valuesSchema() },
  ...crdFiles.map(({ file, content }) => ({ file: file.replace(/^k8s\//, 'k8s/chart/'), content })),
  { file: 'k8s/chart/files/rbac.yaml', content: readFileSync(resolve(root, 'k8s/base/rbac.yaml'), 'utf8') },
];
