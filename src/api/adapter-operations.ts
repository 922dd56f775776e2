// The operations on backends, which the REST interface calls adapters, in the words of Microsoft's gateway where it has them.

import { z } from 'zod';
import { nameAndVersion } from '../config/image-name.ts';
import { adapterData } from '../control/adapter-data.ts';
import type { BackendView } from '../control/backend-view.ts';
import type { BackendControl } from '../control/backends.ts';
import { empty, json, lines } from './answer.ts';
import { asEvents } from './log-events.ts';
import { flag, type Operation, operation, page, paged, wholeNumber } from './operation.ts';
import { adapter, adapterStatus, restarted } from './schemas.ts';

const DEFAULT_LINES = 100;
const MAX_LINES = 10_000;

/** Microsoft's names for what they have, ours for the rest. Values of variables are never told: null stands for each. */
export function adapterOf(view: BackendView) {
  const { creator, ...shown } = view;
  const { name, image, replicas, access, env } = view;
  return {
    id: name,
    ...shown,
    ...nameAndVersion(image),
    environmentVariables: Object.fromEntries(env.map((variable) => [variable.name, null])),
    replicaCount: replicas.desired,
    useWorkloadIdentity: false,
    requiredRoles: access?.roles ?? [],
    createdBy: creator,
  };
}

export type Adapter = ReturnType<typeof adapterOf>;

function statusOf({ image, health, message, replicas, instances }: BackendView) {
  const { ready, updated } = replicas;
  return { readyReplicas: ready, updatedReplicas: updated, availableReplicas: ready, image, replicaStatus: health, message, instances };
}

const shown = (status: number, view: BackendView, headers: Readonly<Record<string, string>> = {}) =>
  json(status, adapterOf(view), { etag: `"${view.revision}"`, ...headers });

export function adapterOperations(backends: BackendControl): readonly Operation[] {
  return [
    operation({
      method: 'GET',
      path: '/adapters',
      id: 'listAdapters',
      summary: 'List the backends that the caller may know of',
      query: z.strictObject(page),
      answers: { 200: z.array(adapter) },
      headers: ['Link'],
      async handle({ query, actor }) {
        const { items, headers } = paged(await backends.list(actor), ({ name }) => name, query, '/adapters');
        return json(200, items.map(adapterOf), headers);
      },
    }),
    operation({
      method: 'POST',
      path: '/adapters',
      id: 'createAdapter',
      summary: 'Register a backend',
      description: 'It begins to run. Images have to be allowed by the gateway’s `allowedImages`.',
      body: adapterData.meta({ id: 'AdapterData' }),
      answers: { 201: adapter },
      headers: ['ETag', 'Location'],
      async handle({ body, actor }) {
        const view = await backends.create(body, actor);
        return shown(201, view, { location: `/adapters/${view.name}` });
      },
    }),
    operation({
      method: 'GET',
      path: '/adapters/{name}',
      id: 'getAdapter',
      summary: 'Show a backend with its instances',
      answers: { 200: adapter },
      headers: ['ETag'],
      handle: async ({ name, actor }) => shown(200, await backends.get(name, actor)),
    }),
    operation({
      method: 'PUT',
      path: '/adapters/{name}',
      id: 'updateAdapter',
      summary: 'Declare a registered backend anew',
      description:
        'As a whole: what is left out has its default again, but for values of variables that are null. Fields of an answer that cannot be set are not looked at.',
      body: adapterData.partial({ name: true }).meta({ id: 'AdapterChange' }),
      conditional: true,
      answers: { 200: adapter },
      headers: ['ETag'],
      handle: async ({ name, body, expected, actor }) => shown(200, await backends.replace(name, body, expected, actor)),
    }),
    operation({
      method: 'DELETE',
      path: '/adapters/{name}',
      id: 'deleteAdapter',
      summary: 'Remove a registered backend',
      description: 'It stops to run, and its sessions end. Backends that are declared in files are removed there.',
      conditional: true,
      answers: { 204: undefined },
      async handle({ name, expected, actor }) {
        await backends.remove(name, expected, actor);
        return empty(204);
      },
    }),
    operation({
      method: 'GET',
      path: '/adapters/{name}/status',
      id: 'getAdapterStatus',
      summary: 'Tell how a backend is doing',
      answers: { 200: adapterStatus },
      handle: async ({ name, actor }) => json(200, statusOf(await backends.get(name, actor))),
    }),
    operation({
      method: 'GET',
      path: '/adapters/{name}/logs',
      id: 'getAdapterLogs',
      summary: 'Read what an instance of a backend has written',
      description:
        'With `follow`, the answer goes on with what is written from now on. Lines are server-sent events where those are accepted.',
      query: z.strictObject({
        instance: wholeNumber(0, 999).default(0).describe('The number of the instance, from 0 on.'),
        lines: wholeNumber(0, MAX_LINES).default(DEFAULT_LINES).describe('How many of the last lines are wanted.'),
        follow: flag.describe('Whether to go on with what is written from now on.'),
      }),
      answers: { 200: 'text' },
      async handle({ query: { instance, lines: count, follow }, name, actor, wantsEvents, signal }) {
        const log = await backends.logOf(name, instance, actor)({ lines: count, follow: follow === 'true', signal });
        if (wantsEvents) return lines(asEvents(typeof log === 'string' ? [log] : log, signal), 'text/event-stream');
        return lines(log);
      },
    }),
    operation({
      method: 'POST',
      path: '/adapters/{name}/restart',
      id: 'restartAdapter',
      summary: 'Replace the processes of a backend by new ones',
      description: 'Sessions go on with the new processes, except for backends with `recovery: fail`.',
      answers: { 202: restarted },
      async handle({ name, actor }) {
        await backends.restart(name, actor);
        return json(202, { name, restarting: true });
      },
    }),
  ];
}
