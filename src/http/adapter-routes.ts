// The routes of backends, which the REST interface calls adapters: what is declared, how it is doing, what it says, and a new start.

import { z } from 'zod';
import type { BackendControl, BackendView } from '../control/backends.ts';
import { followFrom, readTail } from '../control/log-tail.ts';
import type { CallerName } from '../control/sessions.ts';
import { json, lines, problem } from './admin-answer.ts';
import { noQuery, parseQuery, type Route } from './admin-route.ts';

const DEFAULT_LINES = 100;
const MAX_LINES = 10_000;

const logQuery = z.strictObject({
  instance: z.coerce.number().int().min(0).max(999).default(0),
  lines: z.coerce.number().int().min(0).max(MAX_LINES).default(DEFAULT_LINES),
  follow: z.enum(['true', 'false']).default('false'),
});

/** Microsoft's names for what they have, ours for the rest. Values of variables are never told, so there are none to tell. */
function adapterOf(view: BackendView) {
  const { name, image, replicas, creator, access } = view;
  return {
    id: name,
    ...view,
    ...nameAndVersion(image),
    environmentVariables: {},
    replicaCount: replicas.desired,
    requiredRoles: access?.roles ?? [],
    createdBy: creator,
  };
}

export type Adapter = ReturnType<typeof adapterOf>;

function statusOf({ image, health, message, replicas, instances }: BackendView) {
  const { ready, updated } = replicas;
  return { readyReplicas: ready, updatedReplicas: updated, availableReplicas: ready, image, replicaStatus: health, message, instances };
}

/** As Microsoft's gateway takes them, which puts a ":" between the two. Programs and URLs have no version. */
function nameAndVersion(image: string): { imageName: string; imageVersion: string } {
  const [at, length] = versionMark(image);
  return at < 0 ? { imageName: image, imageVersion: '' } : { imageName: image.slice(0, at), imageVersion: image.slice(at + length) };
}

/** Where the mark before the version is, and how long it is. */
function versionMark(image: string): [at: number, length: number] {
  if (image.startsWith('exec:') || image.includes('://')) return [-1, 0];
  if (image.startsWith('pypi:')) return [image.indexOf('=='), 2];
  // Not the one of a scope.
  if (image.startsWith('npm:')) return [image.indexOf('@', 'npm:@'.length), 1];
  const digest = image.indexOf('@');
  if (digest >= 0) return [digest, 1];
  // Not the one of a port.
  const tag = image.lastIndexOf(':');
  return [tag > image.lastIndexOf('/') ? tag : -1, 1];
}

export function adapterRoutes(backends: BackendControl, caller: CallerName): readonly Route[] {
  const missing = (name: string) => problem(404, `there is no backend ${name}`);
  const one = async (name: string, answer: (view: BackendView) => unknown) => {
    const view = await backends.get(name);
    return view ? json(200, answer(view)) : missing(name);
  };
  return [
    {
      path: /^\/adapters$/,
      methods: {
        async GET(query) {
          parseQuery(noQuery, query);
          return json(200, (await backends.list()).map(adapterOf));
        },
      },
    },
    {
      path: /^\/adapters\/([^/]+)$/,
      methods: {
        GET(query, name) {
          parseQuery(noQuery, query);
          return one(name, adapterOf);
        },
      },
    },
    {
      path: /^\/adapters\/([^/]+)\/status$/,
      methods: {
        GET(query, name) {
          parseQuery(noQuery, query);
          return one(name, statusOf);
        },
      },
    },
    {
      path: /^\/adapters\/([^/]+)\/logs$/,
      methods: {
        async GET(query, name, signal) {
          const { instance, lines: count, follow } = parseQuery(logQuery, query);
          const view = await backends.get(name);
          if (!view) return missing(name);
          const file = backends.logOf(name, instance);
          if (file === undefined) {
            const { length } = view.instances;
            const why =
              instance < length ? 'runs elsewhere: its log is there' : `has ${length === 1 ? 'one instance' : `${length} instances`}`;
            return problem(404, `${name} ${why}`);
          }
          const tail = await readTail(file, count);
          return lines(follow === 'true' ? following(file, tail, signal) : tail.text);
        },
      },
    },
    {
      path: /^\/adapters\/([^/]+)\/restart$/,
      methods: {
        POST(query, name) {
          parseQuery(noQuery, query);
          switch (backends.restart(name, caller)) {
            case 'restarting':
              return json(202, { name, restarting: true });
            case 'unknown':
              return missing(name);
            case 'elsewhere':
              return problem(409, `${name} runs elsewhere: restart it there`);
            case 'refused':
              return problem(409, `${name} cannot run here: see its message`);
          }
        },
      },
    },
  ];
}

async function* following(file: string, { text, end }: Awaited<ReturnType<typeof readTail>>, signal: AbortSignal): AsyncGenerator<string> {
  if (text !== '') yield text;
  yield* followFrom(file, end, signal);
}
