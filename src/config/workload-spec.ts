// The schemas of what a backend asks of a cluster: processors and memory, a volume, and how far it may grow. Local processes do without.

import { z } from 'zod';
import { duration } from './durations.ts';
import { byteQuantity, cpuQuantity, parseQuantity } from './quantity.ts';

/** Of one backend. */
export const MAX_REPLICAS = 100;
const MAX_PER_REPLICA = 1_000_000;
const AMOUNTS = ['cpu', 'memory'] as const;

const requests = z.strictObject({
  cpu: cpuQuantity.optional().describe('Processors that are set aside for each instance: 500m is half of one.'),
  memory: byteQuantity.optional().describe('Memory that is set aside for each instance: 256Mi.'),
});
const limits = z.strictObject({
  cpu: cpuQuantity.optional().describe('Processors that an instance may not use more of.'),
  memory: byteQuantity.optional().describe('Memory that an instance is ended at.'),
});

/** As in a container of Kubernetes. */
export const resources = z
  .strictObject({
    requests: requests.optional().describe('What is set aside for each instance.'),
    limits: limits.optional().describe('What each instance may use at most.'),
  })
  .superRefine((given, context) => {
    for (const amount of AMOUNTS) {
      const [asked, allowed] = [given.requests?.[amount], given.limits?.[amount]];
      if (asked !== undefined && allowed !== undefined && (parseQuantity(asked) ?? 0) > (parseQuantity(allowed) ?? 0)) {
        context.addIssue({ code: 'custom', path: ['requests', amount], message: `must not be more than limits.${amount}` });
      }
    }
  });

export const storage = z.strictObject({
  size: byteQuantity.prefault('1Gi').describe('How large the volume of each instance is.'),
  path: z
    .string()
    .max(256)
    .regex(/^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/, 'must be the absolute path of a folder, such as /data')
    .refine((path) => !/^\/(tmp|proc|sys|dev)(\/|$)/.test(path), {
      error: '/tmp, /proc, /sys and /dev are taken: use a folder such as /data',
    })
    .default('/data')
    .describe('Where the server finds the volume.'),
  storageClass: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be the name of a StorageClass')
    .optional()
    .describe("The StorageClass. Without it: the cluster's default one."),
});

export const scaling = z
  .strictObject({
    toZeroAfter: duration({ minMs: 1000 })
      .optional()
      .describe('After this long without a request every instance is stopped; the next request starts one. Without it: never.'),
    startTimeout: duration({ minMs: 1000 }).prefault('45s').describe('How long an instance may take until it is ready.'),
    max: z
      .int()
      .min(1)
      .max(MAX_REPLICAS)
      .optional()
      .describe('How many instances there may be under load; replicas is how many there are at least. Without it: no more than replicas.'),
    sessionsPerReplica: z
      .int()
      .min(1)
      .max(MAX_PER_REPLICA)
      .optional()
      .describe('How many sessions one instance should have at most, with max.'),
    requestsPerReplica: z
      .int()
      .min(1)
      .max(MAX_PER_REPLICA)
      .optional()
      .describe('How many requests per second one instance should get at most, with max.'),
  })
  .superRefine((rules, context) => {
    const measured = rules.sessionsPerReplica !== undefined || rules.requestsPerReplica !== undefined;
    if (rules.max !== undefined && !measured) {
      context.addIssue({ code: 'custom', path: ['max'], message: 'needs sessionsPerReplica, requestsPerReplica or both' });
    }
    if (rules.max === undefined && measured) {
      context.addIssue({ code: 'custom', path: ['max'], message: 'is needed with sessionsPerReplica and requestsPerReplica' });
    }
  });
