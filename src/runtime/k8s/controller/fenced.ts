// Writes that only a leader may do: each asks once more, right before it goes out.

import type { KubeApi } from '../api.ts';

/** As `api`, but everything that changes something rejects as soon as `holds` says no. */
export function fenced(api: KubeApi, holds: () => boolean): KubeApi {
  const guard = async <T>(write: () => Promise<T>): Promise<T> => {
    if (!holds()) throw new Error('another controller may be leading: nothing is written');
    return write();
  };
  return {
    get: api.get,
    create: (kind, object, signal) => guard(() => api.create(kind, object, signal)),
    replace: (kind, object, signal, subresource) => guard(() => api.replace(kind, object, signal, subresource)),
    apply: (kind, object, options, signal) => guard(() => api.apply(kind, object, options, signal)),
    patch: (kind, name, namespace, change, signal, subresource) =>
      guard(() => api.patch(kind, name, namespace, change, signal, subresource)),
    delete: (kind, name, namespace, options, signal) => guard(() => api.delete(kind, name, namespace, options, signal)),
  };
}
