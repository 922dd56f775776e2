// The use cases around backends: list, inspect, register, change, remove and restart one, each for a caller who may or may not.

import { CREATED_AT, DESCRIPTION, documentOf, type ResourceDocument, UPDATED_AT } from '../config/resource-document.ts';
import { type BackendResource, CREATED_BY, type Resource } from '../config/resources.ts';
import type { InstanceId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import type { BackendStatus } from '../runtime/local/backend.ts';
import type { InstanceStatus } from '../runtime/local/replica.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import { type Actor, creatorOf, mayRead, mayRegister, maySeeInside, mayWrite } from './actor.ts';
import { type AdapterData, fieldOf, readAdapterData, specOf } from './adapter-data.ts';
import { audited, nameIn } from './audited.ts';
import { type BackendView, type Counts, viewOf } from './backend-view.ts';
import type { ImagePolicy } from './image-policy.ts';
import { logFileOf, type ReadLog } from './log-source.ts';
import { ControlRefusal, declaredElsewhere, invalidResource, noSuch } from './refusal.ts';
import { expectRevision, InvalidDocument, type Registered, type Registry } from './registry.ts';

/** Somebody waits for the answer, and it is worth something without the numbers. */
const COUNT_TIMEOUT_MS = 2_000;

/** What the caller has seen of a backend before it asks for a change; undefined: it does not care. */
type Expected = string | undefined;

/** All of them throw ControlRefusal. What the caller may not know of is missing. */
export interface BackendControl {
  /** By name. */
  list(actor: Actor): Promise<readonly BackendView[]>;
  get(name: string, actor: Actor): Promise<BackendView>;
  /** What an instance has said. */
  logOf(name: string, instance: number, actor: Actor): ReadLog;
  /** Registers a backend; it begins to run. `body`: AdapterData. Nothing has happened unless it resolves. */
  create(body: unknown, actor: Actor): Promise<BackendView>;
  /** Declares a registered backend anew, as a whole, but for the values of variables that the body says are to be kept. */
  replace(name: string, body: unknown, expected: Expected, actor: Actor): Promise<BackendView>;
  /** It stops to run, and its sessions end. */
  remove(name: string, expected: Expected, actor: Actor): Promise<void>;
  /** Replaces its processes as a change does: sessions are opened again on the new ones, but for backends with `recovery: fail`. */
  restart(name: string, actor: Actor): Promise<void>;
}

/** `elsewhere`: it is a URL. `refused`: it cannot run here, as its message says. */
export type RestartOutcome = 'restarting' | 'unknown' | 'elsewhere' | 'refused';

export interface BackendControlDependencies {
  /** What is declared at the moment, in files and by API. */
  readonly declared: () => readonly BackendResource[];
  readonly registry: Registry;
  readonly imagePolicy: ImagePolicy;
  /** Why a URL may not be registered, as far as its text tells; undefined when it may. */
  readonly urlRefusal: (url: string) => string | undefined;
  readonly status: () => readonly BackendStatus[];
  /** Open sessions by instance; rejects when the store cannot be reached. */
  readonly countByInstance: () => Promise<ReadonlyMap<InstanceId, number>>;
  /** The gateway's own URL, without a slash at its end. */
  readonly baseUrl: () => string;
  readonly restart: (name: string) => RestartOutcome | Promise<RestartOutcome>;
  /** Ends what is open on a backend that is no longer there. Rejects when the store cannot be reached. */
  readonly endSessionsOn: (name: string) => Promise<void>;
  readonly audit: (entry: AuditEntry) => void;
  readonly now?: () => Date;
  /** Default: from the file that the instance names. */
  readonly readLog?: (backend: string, instance: InstanceStatus) => ReadLog;
}

export function createBackendControl(dependencies: BackendControlDependencies): BackendControl {
  const {
    declared,
    registry,
    imagePolicy,
    urlRefusal,
    status,
    countByInstance,
    baseUrl,
    restart,
    endSessionsOn,
    audit,
    now = () => new Date(),
    readLog = (_, { log }) => logFileOf(log),
  } = dependencies;
  const count = (): Promise<Counts> => within(countByInstance(), COUNT_TIMEOUT_MS).catch(() => undefined);

  const view = (resource: BackendResource, counts: Counts, actor: Actor): BackendView => {
    const whole = viewOf(resource, {
      known: status().find((each) => each.name === resource.name),
      counts,
      registered: resource.origin === 'api' ? registry.find('MCPBackend', resource.name) : undefined,
      baseUrl: baseUrl(),
    });
    return maySeeInside(actor, resource) ? whole : { ...whole, args: [], env: [], upstreamAuth: null, source: '', instances: [] };
  };

  const readable = (name: string, actor: Actor): BackendResource => {
    const resource = declared().find((each) => each.name === name);
    if (!resource || !mayRead(actor, resource)) throw missing(name);
    return resource;
  };

  const writable = (name: string, actor: Actor): BackendResource => {
    const resource = readable(name, actor);
    if (!mayWrite(actor, resource)) throw new ControlRefusal('forbidden', `${name} is not yours: ask its creator or an operator`);
    return resource;
  };

  /** One that the API has a say in. */
  const registered = (name: string, actor: Actor): void => {
    const { origin, file } = writable(name, actor);
    if (origin !== 'api') throw declaredElsewhere(name, file);
  };

  /** Before anything is said about what was sent. */
  /** Looked at when it is changed: somebody else may have removed it meanwhile, and registered another one under its name. */
  const expectOwn = (name: string, present: Registered | undefined, expected: Expected, actor: Actor): void => {
    expectRevision('backend', name, present, expected);
    if (present?.resource.kind === 'MCPBackend' && !mayWrite(actor, present.resource)) throw missing(name);
  };

  const allowed = (actor: Actor): void => {
    if (mayRegister(actor)) return;
    throw new ControlRefusal('forbidden', 'registering a backend runs code: it needs the role of an operator or administrator');
  };

  const allowUrl = (data: AdapterData, { rank }: Actor): void => {
    // Whoever chooses both the secret and where it goes can read it.
    if (data.upstreamAuth && rank !== 'admin') {
      const problem = 'is for administrators only';
      throw new ControlRefusal('forbidden', `upstreamAuth ${problem}`, [{ field: 'upstreamAuth', message: problem }]);
    }
    const spec = specOf({ ...data, environmentVariables: undefined }, undefined);
    if (typeof spec['url'] !== 'string') return;
    const problem = urlRefusal(spec['url']);
    if (problem !== undefined) throw new ControlRefusal('forbidden', problem, [{ field: 'image', message: problem }]);
  };

  /** @throws ControlRefusal for images that may not be registered. */
  const store = async (data: AdapterData, expect: (present: Registered | undefined) => void, actor: Actor): Promise<void> => {
    const { name } = data;
    let spec: Record<string, unknown> = {};
    const next = (present: Registered | undefined): ResourceDocument => {
      expect(present);
      spec = specOf(data, present?.document);
      const before = present?.document.metadata.annotations;
      const at = now().toISOString();
      return documentOf('MCPBackend', name, spec, {
        [CREATED_BY]: before?.[CREATED_BY] ?? creatorOf(actor),
        [CREATED_AT]: before?.[CREATED_AT] ?? at,
        [UPDATED_AT]: at,
        [DESCRIPTION]: data.description || undefined,
      });
    };
    const check = (resource: Resource): void => {
      const image = resource.kind === 'MCPBackend' ? resource.spec.image : undefined;
      const problem = image && imagePolicy(image);
      if (problem !== undefined) throw new ControlRefusal('forbidden', problem, [{ field: 'image', message: problem }]);
    };
    try {
      await registry.change('MCPBackend', name, next, check);
    } catch (error) {
      if (error instanceof InvalidDocument) throw invalidResource(error.problems, (path) => fieldOf(path, spec));
      throw error;
    }
  };

  const shown = async (name: string, actor: Actor): Promise<BackendView> => {
    const resource = declared().find((each) => each.name === name);
    // Somebody may have removed it meanwhile.
    if (!resource) throw missing(name);
    return view(resource, await count(), actor);
  };

  return {
    async list(actor) {
      const counts = await count();
      return declared()
        .filter((resource) => mayRead(actor, resource))
        .map((resource) => view(resource, counts, actor))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async get(name, actor) {
      const counts = await count();
      return view(readable(name, actor), counts, actor);
    },
    logOf(name, instance, actor) {
      writable(name, actor);
      const { length, [instance]: found } = status().find((each) => each.name === name)?.instances ?? [];
      if (!found) throw new ControlRefusal('missing', `${name} has ${length === 1 ? 'one instance' : `${length} instances`}`);
      if (found.log === '') throw new ControlRefusal('missing', `${name} runs elsewhere: its log is there`);
      return readLog(name, found);
    },
    create: (body, actor) =>
      audited(audit, { action: 'backend.create', target: nameIn(body), actor }, async () => {
        allowed(actor);
        const data = readAdapterData(body);
        allowUrl(data, actor);
        if (declared().some(({ name, origin }) => name === data.name && origin !== 'api')) throw taken(data.name);
        const absent = (present: Registered | undefined): void => {
          if (present) throw taken(data.name);
        };
        await store(data, absent, actor);
        return shown(data.name, actor);
      }),
    replace: (name, body, expected, actor) =>
      audited(audit, { action: 'backend.update', target: name, actor }, async () => {
        registered(name, actor);
        allowed(actor);
        const data = readAdapterData(body, name);
        allowUrl(data, actor);
        await store(data, (present) => expectOwn(name, present, expected, actor), actor);
        return shown(name, actor);
      }),
    remove: (name, expected, actor) =>
      audited(audit, { action: 'backend.remove', target: name, actor }, async () => {
        registered(name, actor);
        await registry.change('MCPBackend', name, (present) => {
          expectOwn(name, present, expected, actor);
          return undefined;
        });
        // The backend is gone even if nobody can be told of its sessions; no request reaches them.
        await endSessionsOn(name).catch(() => {});
      }),
    restart: (name, actor) =>
      audited(audit, { action: 'backend.restart', target: name, actor }, async () => {
        writable(name, actor);
        const outcome = await restart(name);
        if (outcome === 'unknown') throw missing(name);
        if (outcome === 'elsewhere') throw new ControlRefusal('elsewhere', `${name} runs elsewhere: restart it there`);
        if (outcome === 'refused') throw new ControlRefusal('elsewhere', `${name} cannot run here: see its message`);
      }),
  };
}

const missing = (name: string): ControlRefusal => noSuch('backend', name);
const taken = (name: string): ControlRefusal =>
  new ControlRefusal('exists', `there is a backend ${name} already: choose another name, or change that one`);
