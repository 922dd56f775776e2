// What is said where no cluster can be found.

import { expect, test } from 'vitest';
import { openTransport } from './transport.ts';

test('a kubeconfig that is not there is named', async () => {
  await expect(openTransport({ kubeconfig: '/nonexistent/config' })).rejects.toThrow(
    'the kubeconfig /nonexistent/config cannot be read: ENOENT',
  );
});
