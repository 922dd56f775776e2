// The output of a server in a pod, as the kubelet keeps it.

import { SERVER_CONTAINER } from './instances.ts';
import { PODS, pathOf } from './objects.ts';
import { errorOf, type Transport, textOf } from './transport.ts';

export interface PodLogWish {
  readonly lines: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Text when nothing is followed. Rejects with KubeError, for example while the container is not there yet. */
export async function readPodLog(
  transport: Pick<Transport, 'open'>,
  { name, namespace }: { readonly name: string; readonly namespace: string },
  { lines, follow, signal }: PodLogWish,
): Promise<string | AsyncIterable<string>> {
  const query = new URLSearchParams({ container: SERVER_CONTAINER, tailLines: String(lines), ...(follow && { follow: 'true' }) });
  const path = `${pathOf(PODS, namespace, name, 'log')}?${query.toString()}`;
  const answer = await transport.open({ method: 'GET', path, signal });
  const { statusCode = 0 } = answer;
  if (statusCode >= 400) throw errorOf(statusCode, await textOf(answer));
  if (!follow) return textOf(answer);
  answer.setEncoding('utf8');
  return answer as AsyncIterable<string>;
}
