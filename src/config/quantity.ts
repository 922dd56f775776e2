// Amounts of a machine as Kubernetes writes them: processors (`500m`, `2`) and bytes (`256Mi`, `1Gi`).

import { z } from 'zod';

const FACTORS: Readonly<Record<string, number>> = {
  ...{ '': 1, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};
const QUANTITY = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/;
const MAX_CHARS = 32;

export const CPU = /^([0-9]+m|[0-9]+(\.[0-9]{1,3})?)$/;
/** Without `m`: thousandths of a byte are always meant as something else. */
export const BYTES = /^[0-9]+(\.[0-9]+)?(k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/;

/** How much that is; `undefined` when it is no quantity. */
export function parseQuantity(text: string): number | undefined {
  const [, amount = '', suffix = ''] = QUANTITY.exec(text) ?? [];
  const factor = FACTORS[suffix];
  return amount === '' || factor === undefined ? undefined : Number(amount) * factor;
}

/** YAML reads `cpu: 2` as a number, and Kubernetes takes it. */
function quantity(pattern: RegExp, error: string) {
  return z.union([z.string().max(MAX_CHARS).regex(pattern, error), z.int().min(0, error)], { error }).transform(String);
}

export const cpuQuantity = quantity(CPU, 'must be a number of processors such as 500m, 2 or "1.5"');
export const byteQuantity = quantity(BYTES, 'must be a number of bytes such as 256Mi or 1Gi');
