// What the gateway asks of the Kubernetes API: one object read, written or removed at a time. Lists and watches: reflector.ts.

import { limited } from '../../core/within.ts';
import { apiVersionOf, type KubeObject, type KubeResource, pathOf } from './objects.ts';
import { KubeError, type Transport } from './transport.ts';

/** The API server itself gives up at 60 s. */
const TIMEOUT_MS = 30_000;

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes fields over from other managers instead of failing with 409. */
  readonly force: boolean;
  readonly subresource?: 'status' | 'scale';
}

export interface DeleteOptions {
  /** Only if it is still this very object. */
  readonly uid?: string | undefined;
  readonly propagation?: 'Foreground' | 'Background';
}

/** All of them throw KubeError for what the server refuses, and other errors when it cannot be reached. */
export interface KubeApi {
  /** Undefined: there is none. */
  get<T extends KubeObject>(kind: KubeResource, name: string, namespace?: string, signal?: AbortSignal): Promise<T | undefined>;
  /** 409 when it exists. */
  create<T extends KubeObject>(kind: KubeResource, object: T, signal?: AbortSignal): Promise<T>;
  /** 409 when its `resourceVersion` is no longer the newest. */
  replace<T extends KubeObject>(kind: KubeResource, object: T, signal?: AbortSignal, subresource?: 'status'): Promise<T>;
  /** Server-side apply. */
  apply<T extends KubeObject>(kind: KubeResource, object: T, options: ApplyOptions, signal?: AbortSignal): Promise<T>;
  /** A JSON merge patch (RFC 7386). */
  patch(
    kind: KubeResource,
    name: string,
    namespace: string | undefined,
    change: unknown,
    signal?: AbortSignal,
    subresource?: 'status' | 'scale',
  ): Promise<KubeObject>;
  /** What is not there need not be removed. */
  delete(kind: KubeResource, name: string, namespace?: string, options?: DeleteOptions, signal?: AbortSignal): Promise<void>;
}

export function createKubeApi(transport: Pick<Transport, 'ask'>): KubeApi {
  const bounded = (signal: AbortSignal | undefined): AbortSignal =>
    signal ? limited(signal, TIMEOUT_MS) : AbortSignal.timeout(TIMEOUT_MS);
  const whole = (kind: KubeResource, object: KubeObject) => ({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind });
  return {
    async get<T extends KubeObject>(kind: KubeResource, name: string, namespace?: string, signal?: AbortSignal) {
      try {
        return (await transport.ask({ method: 'GET', path: pathOf(kind, namespace, name), signal: bounded(signal) })) as T;
      } catch (error) {
        if (error instanceof KubeError && error.code === 404) return undefined;
        throw error;
      }
    },
    async create<T extends KubeObject>(kind: KubeResource, object: T, signal?: AbortSignal) {
      const path = pathOf(kind, object.metadata.namespace);
      return (await transport.ask({ method: 'POST', path, body: whole(kind, object), signal: bounded(signal) })) as T;
    },
    async replace<T extends KubeObject>(kind: KubeResource, object: T, signal?: AbortSignal, subresource?: 'status') {
      const path = pathOf(kind, object.metadata.namespace, object.metadata.name, subresource);
      return (await transport.ask({ method: 'PUT', path, body: whole(kind, object), signal: bounded(signal) })) as T;
    },
    async apply<T extends KubeObject>(kind: KubeResource, object: T, options: ApplyOptions, signal?: AbortSignal) {
      const { fieldManager, force, subresource } = options;
      const query = new URLSearchParams({ fieldManager, force: String(force) });
      return (await transport.ask({
        method: 'PATCH',
        path: `${pathOf(kind, object.metadata.namespace, object.metadata.name, subresource)}?${query.toString()}`,
        body: whole(kind, object),
        contentType: 'application/apply-patch+yaml',
        signal: bounded(signal),
      })) as T;
    },
    async patch(kind, name, namespace, change, signal, subresource) {
      return (await transport.ask({
        method: 'PATCH',
        path: pathOf(kind, namespace, name, subresource),
        body: change,
        contentType: 'application/merge-patch+json',
        signal: bounded(signal),
      })) as KubeObject;
    },
    async delete(kind, name, namespace, { uid, propagation } = {}, signal) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(uid !== undefined && { preconditions: { uid } }),
        ...(propagation && { propagationPolicy: propagation }),
      };
      try {
        await transport.ask({ method: 'DELETE', path: pathOf(kind, namespace, name), body, signal: bounded(signal) });
      } catch (error) {
        if (!(error instanceof KubeError && error.code === 404)) throw error;
      }
    },
  };
}
